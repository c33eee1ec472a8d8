//! Which recipients a kind of channel can reach; asked at enqueue, without building the channel.

use super::Options;
use crate::model::Problem;

/// The recipient as the channel wants it kept.
///
/// # Errors
/// When this channel can never reach it. Names the trouble, never the recipient.
pub fn check(_options: &Options, recipient: &str) -> Result<String, Problem> {
    Ok(recipient.to_owned())
}
