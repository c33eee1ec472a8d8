//! One open connection: commands, each with its limit of time, and what it carries of its own history.

use std::fmt::Display;
use std::future::Future;
use std::time::Duration;

use lettre::transport::smtp::client::AsyncSmtpConnection;
use lettre::transport::smtp::commands::{Quit, Rset};
use lettre::transport::smtp::response::Response;

use super::options::COURTESY;
use super::reply::{Broken, Features, Reply, outcome};
use super::wire::Wire;

/// An open connection, ready for MAIL.
pub struct Session {
    pub(super) smtp: AsyncSmtpConnection,
    pub(super) wire: Wire,
    /// What the relay offers.
    pub features: Features,
    /// Messages it has carried, or tried to.
    pub carried: u32,
}

impl Session {
    /// Sends one command, or several that were written together, and reads the first reply.
    pub async fn command(&mut self, command: impl Display, limit: Duration) -> Result<Reply, Broken> {
        within(limit, &self.wire, self.smtp.command(command)).await
    }

    /// Reads the reply to a further command of several, or to a message that was sent.
    pub async fn reply(&mut self, limit: Duration) -> Result<Reply, Broken> {
        within(limit, &self.wire, self.smtp.read_response()).await
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

/// The answer that lettre waits for, or that it did not come in time.
async fn within(
    limit: Duration,
    wire: &Wire,
    answer: impl Future<Output = Result<Response, lettre::transport::smtp::Error>>,
) -> Result<Reply, Broken> {
    match tokio::time::timeout(limit, answer).await {
        Ok(result) => outcome(result, wire.has_ended()),
        Err(_) => Err(Broken::Timeout(limit)),
    }
}
