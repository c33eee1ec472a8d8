//! Which channels a pass serves.

use crate::cli::selection::unknown_channel;
use crate::cli::{Error, Exit};
use crate::config::{ChannelConfig, Config};

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
