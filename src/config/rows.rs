//! What rows ask of the configuration, whoever wrote them: terms, channels, recipients, times of this place.

use super::Config;
use crate::channel;
use crate::model::{Problem, Timestamp};
use crate::store::shapes::Configured;
use crate::units;
use crate::wire::nearest;
use crate::wire::row::Terms;

impl Config {
    /// What holds for every row that is taken at `now`.
    #[must_use]
    pub fn terms(&self, now: Timestamp) -> Terms {
        let defaults = &self.defaults;
        Terms { now, limits: self.limits, channel: defaults.channel.clone(), ttl: defaults.ttl }
    }

    /// Whom a channel tells when nobody is named.
    ///
    /// # Errors
    /// When there is no such channel.
    pub fn route(&self, channel: &str) -> Result<&[String], Problem> {
        match self.channels.get(channel) {
            Some(channel) => Ok(&channel.to),
            None => Err(Problem::new("channel", self.unknown_channel(channel).unwrap_or_default())),
        }
    }

    /// The recipient as its channel wants it kept.
    ///
    /// # Errors
    /// When the channel can never reach it.
    pub fn recipient(&self, channel: &str, recipient: &str) -> Result<String, Problem> {
        match self.channels.get(channel) {
            Some(channel) => channel::recipient::check(&channel.options, recipient),
            None => Err(Problem::new("channel", "is not configured")),
        }
    }

    /// Why `name` is no channel, with the one that was probably meant; `None` when it is one.
    #[must_use]
    pub fn unknown_channel(&self, name: &str) -> Option<String> {
        if self.channels.contains_key(name) {
            return None;
        }
        let names = || self.channels.keys().map(String::as_str);
        let meant = match nearest(name, names()) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("there are {}", names().collect::<Vec<_>>().join(", ")),
        };
        let name: String = name.chars().take(40).collect();
        Some(format!("`{}` is not a configured channel; {meant}", name.escape_debug()))
    }

    /// Every channel, as `status` tells it.
    #[must_use]
    pub fn configured(&self) -> Vec<Configured<'_>> {
        let one = |(name, channel)| {
            let (name, channel): (&String, &super::ChannelConfig) = (name, channel);
            Configured { name, kind: channel.options.kind().as_str(), rates: &channel.rates }
        };
        self.channels.iter().map(one).collect()
    }
}

/// The moment that a row's `not_before` names, in the time zone of this host.
///
/// # Errors
/// When it is none, or past.
pub fn moment(text: &str, now: Timestamp) -> Result<Timestamp, Problem> {
    units::at(text, now, &chrono::Local).map_err(|error| Problem::new("not_before", error.to_string()))
}

/// A row names a user whom nobody knows.
#[must_use]
pub fn unknown_user() -> Problem {
    Problem::new(
        "user_id",
        "is not a known user; name a recipient, or run `notifyctl user set ID --to RECIPIENT`",
    )
}
