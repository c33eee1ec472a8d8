//! Peers that misbehave in every way at every step: what each attempt comes to, how long it takes, what it costs in
//! memory; and what another channel in the same pass notices of it.
//!
//! What is promised: nothing counts as sent that was not accepted, nothing as unknown that the other side cannot have,
//! no attempt outlasts its limits of time, memory is bounded whatever is said, and P7: no channel delays another.

mod acts;
mod beside;
mod http;
mod matrix;
mod smtp;
mod tls;

use crate::finding::Finding;
use crate::ground::Ground;

/// Runs it.
pub fn scenario(ground: &Ground) -> Vec<Finding> {
    let mut findings = matrix::part(ground);
    findings.extend(beside::part(ground));
    findings
}
