//! From configured channels to the engine's lanes.

use crate::channel::BuildError;
use crate::config::ChannelConfig;
use crate::delivery::Lane;

/// Builds them; one that cannot be built does not stop the others.
#[must_use]
pub fn build(channels: impl IntoIterator<Item = (String, ChannelConfig)>) -> (Vec<Lane>, Vec<BuildError>) {
    let (mut lanes, mut unfit) = (Vec::new(), Vec::new());
    for (name, config) in channels {
        match config.options.build(&name) {
            Ok(channel) => lanes.push(Lane {
                name,
                channel,
                longest_attempt: config.options.longest_attempt(),
                policy: config.policy,
                rates: config.rates,
                max_in_flight: config.max_in_flight,
            }),
            Err(error) => unfit.push(error),
        }
    }
    (lanes, unfit)
}
