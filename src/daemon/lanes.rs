//! From configured channels to the engine's lanes.

use std::thread;

use crate::channel::BuildError;
use crate::config::ChannelConfig;
use crate::delivery::Lane;

/// How many are built side by side. Each may ask a program for a secret, for ten seconds: one after the other they would add up.
const TOGETHER: usize = 16;

/// Builds them; one that cannot be built does not stop the others.
#[must_use]
pub fn build(channels: impl IntoIterator<Item = (String, ChannelConfig)>) -> (Vec<Lane>, Vec<BuildError>) {
    let (mut lanes, mut unfit) = (Vec::new(), Vec::new());
    let mut left = channels.into_iter();
    loop {
        let some: Vec<_> = left.by_ref().take(TOGETHER).collect();
        if some.is_empty() {
            return (lanes, unfit);
        }
        for built in together(some) {
            match built {
                Ok(lane) => lanes.push(lane),
                Err(error) => unfit.push(error),
            }
        }
    }
}

/// All of them at once, in their order.
fn together(mut channels: Vec<(String, ChannelConfig)>) -> Vec<Result<Lane, BuildError>> {
    let Some((name, config)) = channels.pop() else { return Vec::new() };
    thread::scope(|scope| {
        let begun: Vec<_> =
            channels.into_iter().map(|(name, config)| scope.spawn(|| one(name, config))).collect();
        // The last one needs no thread; nor does a channel that is alone.
        let last = one(name, config);
        let join = |thread: thread::ScopedJoinHandle<'_, _>| {
            thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        };
        begun.into_iter().map(join).chain([last]).collect()
    })
}

fn one(name: String, config: ChannelConfig) -> Result<Lane, BuildError> {
    Ok(Lane {
        channel: config.options.build(&name)?,
        name,
        longest_attempt: config.options.longest_attempt(),
        policy: config.policy,
        rates: config.rates,
        max_in_flight: config.max_in_flight,
    })
}
