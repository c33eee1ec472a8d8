//! Clocks that jump, while nothing runs and in the middle of a pass; local times that the clocks skip or repeat; and a
//! pass that is stopped for longer than its lease.
//!
//! What is promised: nothing begins before its time by the clock as it then stands. What notifyctl reckoned itself (a
//! retry, a pause, a window of a rate, "due at once") survives a clock that is set back with its wait as it was; what a
//! user asked for by the clock (`--at`, `--in`, `--ttl`) stays where it is on the clock. A rate holds but for one
//! further window after each jump ahead, which makes all that was sent before look old.

mod during;
pub mod fake;
mod jumps;
mod local;
mod receiver;
mod stopped;

use crate::finding::Finding;
use crate::ground::Ground;

/// Runs it.
pub fn scenario(ground: &Ground) -> Vec<Finding> {
    // Most of each is waiting, so they wait side by side.
    std::thread::scope(|scope| {
        let parts = [stopped::part, during::part, jumps::part, local::part];
        let parts = parts.map(|part| scope.spawn(move || part(ground)));
        parts.into_iter().flat_map(|part| part.join().expect("a part that ends")).collect()
    })
}
