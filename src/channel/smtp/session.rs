//! One open connection: commands, each with its limit of time, and what it carries of its own history.

use std::fmt::{Display, Write as _};
use std::time::Duration;

use lettre::transport::smtp::commands::{Quit, Rset};
use tokio::time::timeout;

use super::login::Said;
use super::options::COURTESY;
use super::reply::{Broken, Features, Reply};
use super::wire::Wire;

/// An open connection, ready for MAIL.
pub struct Session {
    pub(super) wire: Wire,
    /// What the relay offers.
    pub features: Features,
    /// Messages it has carried, or tried to.
    pub carried: u32,
    /// Whether the relay has accepted one of them.
    pub proven: bool,
    /// Whether the relay has taken an envelope that was announced behind the message before.
    pub understood: bool,
    /// What its login said, which the relay may repeat whenever it speaks.
    pub(super) said: Said,
    /// What is written next; kept for its room.
    pub(super) outgoing: Vec<u8>,
}

impl Session {
    /// A connection on which nothing has been said yet.
    pub fn new(wire: Wire) -> Self {
        Self {
            wire,
            features: Features::default(),
            carried: 0,
            proven: false,
            understood: false,
            said: Said::default(),
            outgoing: Vec::new(),
        }
    }

    /// Sends one command and reads the reply.
    pub async fn command(&mut self, command: impl Display, limit: Duration) -> Result<Reply, Broken> {
        self.say(command, 1, limit).await?;
        self.reply(limit).await
    }

    /// Sends commands that have so many answers in all.
    pub async fn say(
        &mut self,
        commands: impl Display,
        answers: usize,
        limit: Duration,
    ) -> Result<(), Broken> {
        self.wire.ask(answers)?;
        let mut text = String::with_capacity(256);
        // A String takes everything.
        let _ = write!(text, "{commands}");
        match timeout(limit, self.wire.send(text.as_bytes(), &mut 0)).await {
            Ok(sent) => Ok(sent?),
            Err(_) => Err(Broken::Timeout(limit)),
        }
    }

    /// Reads the next reply; nothing that the login said is in what is shown of it.
    pub async fn reply(&mut self, limit: Duration) -> Result<Reply, Broken> {
        let Ok(reply) = timeout(limit, self.wire.reply()).await else { return Err(Broken::Timeout(limit)) };
        let mut reply = reply?;
        reply.hide(&self.said);
        Ok(reply)
    }

    /// Forgets a transaction that was begun; says whether the connection can be used again.
    pub async fn reset(&mut self) -> bool {
        matches!(self.command(Rset, COURTESY).await, Ok(reply) if reply.is_positive())
    }

    /// Says goodbye and closes.
    pub async fn quit(mut self) {
        // It is over either way.
        let _ = self.command(Quit, COURTESY).await;
    }
}
