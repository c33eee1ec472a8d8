//! How one envelope leaves the host, once, and what the answer means.
//!
//! A channel tries once and returns a verdict, never an error: the other side's misbehaviour is data. It
//! alone judges whether a failure is temporary. It never sleeps, retries, limits a rate or reads the
//! store, and knows nothing of other channels. Each kind's options live beside its code.

pub mod exec;
pub mod file;
pub mod mail;
mod options;
pub mod recipient;
mod scrub;
pub mod smtp;
pub mod webhook;

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::str::FromStr;

pub use options::{BuildError, Options};

use crate::model::{Content, Id, Priority, Timestamp, Verdict};
use crate::wire;

/// What a channel is handed: one notification, for one attempt.
#[derive(Debug, Clone)]
pub struct Envelope {
    /// The notification's id.
    pub id: Id,
    /// The same on every attempt and in every store: becomes `Message-ID` and `webhook-id`.
    /// Letters, digits, `-` and `_` only.
    pub stable_id: String,
    /// The domain part of `Message-ID`, fixed when the store was made.
    pub message_domain: String,
    /// The channel's configured name.
    pub channel: String,
    /// Which attempt this is, from 1.
    pub attempt: u32,
    /// When it was enqueued; becomes `Date`.
    pub created_at: Timestamp,
    /// The caller's id of the user who is told.
    pub user_id: Option<String>,
    /// How much it hurries.
    pub priority: Priority,
    /// What is to be told.
    pub content: Content,
}

impl Envelope {
    /// The same as a program reads it.
    #[must_use]
    pub fn shape(&self) -> wire::envelope::Envelope<'_> {
        let Content { recipient, subject, message, html, headers, attachments } = &self.content;
        wire::envelope::Envelope {
            id: self.id,
            stable_id: &self.stable_id,
            channel: &self.channel,
            attempt: self.attempt,
            created_at: wire::rfc3339(self.created_at),
            user_id: self.user_id.as_deref(),
            priority: self.priority.as_str(),
            recipient,
            subject: subject.as_deref(),
            message,
            html: html.as_deref(),
            headers: wire::envelope::headers(headers),
            attachments: attachments
                .iter()
                .map(|file| wire::envelope::Attachment {
                    name: &file.name,
                    media_type: &file.media_type,
                    size: file.content.len(),
                    content: &file.content,
                })
                .collect(),
        }
    }
}

/// A verdict that is still being made.
pub type Attempt<'a> = Pin<Box<dyn Future<Output = Verdict> + Send + 'a>>;

/// Where a channel gets what it carries, and where it says what came of each.
///
/// All of them are for this channel; nobody else waits for this supply.
pub trait Supply: Send {
    /// The next one, if one may begin now. Its attempt is on record as begun when this returns, so it must be
    /// asked for only when its first byte can leave at once.
    ///
    /// While one is under way, one more may be had; until the first has ended, of its message (as opposed
    /// to its announcement) no byte may leave.
    fn next(&mut self) -> Option<Envelope>;

    /// What came of the one with this id.
    fn ended(&mut self, id: Id, verdict: Verdict);

    /// Nothing was sent of the message with this id: it goes back as if it had never begun.
    fn untried(&mut self, id: Id);
}

/// A way out of the host.
pub trait Channel: Send + Sync {
    /// Tries once to hand over `envelope` and says what came of it.
    ///
    /// Keeps its own limits of time for each phase, so that the future always ends. Dropping the future
    /// abandons the attempt; the caller then records its end as unknown.
    fn attempt<'a>(&'a self, envelope: &'a Envelope) -> Attempt<'a>;

    /// Tries each of `supply` once, one after another, until there is none.
    ///
    /// As [`Channel::attempt`] for each; what the future still holds when it is dropped has an unknown end,
    /// but for what was only announced behind another one.
    fn carry<'a>(&'a self, supply: &'a mut dyn Supply) -> Pin<Box<dyn Future<Output = ()> + Send + 'a>> {
        Box::pin(async move {
            while let Some(envelope) = supply.next() {
                let verdict = self.attempt(&envelope).await;
                supply.ended(envelope.id, verdict);
            }
        })
    }

    /// Gives connections back politely (QUIT) at the end of a pass; bounded in time.
    fn close(&self) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(std::future::ready(()))
    }
}

/// The kinds of channel there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A mail relay.
    Smtp,
    /// An HTTP endpoint.
    Webhook,
    /// A program on this host.
    Exec,
    /// A Maildir, or a file of JSON lines.
    File,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 4] = [Self::Smtp, Self::Webhook, Self::Exec, Self::File];

    /// The word used in the configuration.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Smtp => "smtp",
            Self::Webhook => "webhook",
            Self::Exec => "exec",
            Self::File => "file",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Kind {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|kind| kind.as_str() == text)
            .ok_or_else(|| format!("`{text}` is not a kind of channel (one of smtp, webhook, exec, file)"))
    }
}
