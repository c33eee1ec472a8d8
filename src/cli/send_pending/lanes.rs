//! From configured channels to the engine's lanes.

use crate::channel::BuildError;
use crate::cli::selection::unknown_channel;
use crate::cli::{Error, Exit};
use crate::config::{ChannelConfig, Config};
use crate::delivery::Lane;

/// The channels that are meant, by name.
///
/// # Errors
/// When a name is no channel's.
pub(super) fn choose(config: &Config, names: &[String]) -> Result<Vec<(String, ChannelConfig)>, Error> {
    if let Some(unknown) = names.iter().find(|name| !config.channels.contains_key(*name)) {
        let known = config.channels.keys().map(String::as_str);
        return Err(Error::new(Exit::Usage, unknown_channel(unknown, known))
            .hint("`notifyctl channel list` shows them all"));
    }
    let meant = config.channels.iter().filter(|(name, _)| names.is_empty() || names.contains(name));
    Ok(meant.map(|(name, channel)| (name.clone(), channel.clone())).collect())
}

/// Builds them; one that cannot be built does not stop the others.
pub(super) fn build(chosen: Vec<(String, ChannelConfig)>) -> (Vec<Lane>, Vec<BuildError>) {
    let (mut lanes, mut unfit) = (Vec::new(), Vec::new());
    for (name, config) in chosen {
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
