//! Messages one after another over one connection, each announced behind the one before it.
//!
//! Where the relay offers PIPELINING, the envelope of the next message leaves with the final dot of the one
//! before (RFC 2920 section 3.1), so that each costs one round trip. Of a message that was only announced
//! nothing has been sent: when the connection breaks before it comes up, it is not tried, and never unknown.
//!
//! Announcing is a favour that nobody has to rely on: it begins when the relay has accepted a message on the
//! connection, ends for good when the first announcement there is not taken as one, and is taken back when
//! the relay thinks for long about the message before.

use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::time::timeout;

use super::Smtp;
use super::classify::Stage;
use super::pool::MESSAGES;
use super::session::Session;
use super::transaction::{After, Letter, Stop};
use crate::channel::{Envelope, Supply};
use crate::model::{Id, Reason, Verdict};

/// How long an announced message waits for the answer to the one before it; then others may have it.
const PATIENCE: Duration = Duration::from_secs(2);

/// How long the first answer to an announcement may take after that: one that is not understood has none.
const ANNOUNCED: Duration = Duration::from_secs(20);

impl Smtp {
    /// Sends all that `supply` has.
    pub(super) async fn carry_all(&self, supply: &mut dyn Supply) {
        let mut next = self.next(supply);
        let mut fresh = false;
        while let Some(letter) = next {
            let pooled = if fresh { None } else { self.pool.take() };
            let session = match pooled {
                Some(session) => Ok(session),
                None => self.opener.open().await,
            };
            let left = match session {
                Ok(session) => self.carry_over(session, letter, supply).await,
                Err(verdict) => {
                    supply.ended(letter.id, verdict);
                    None
                }
            };
            // A connection that turned out to be gone is replaced by a fresh one, and that is still the
            // same attempt.
            fresh = left.is_some();
            next = match left {
                Some(letter) => Some(letter),
                None => self.next(supply),
            };
        }
    }

    /// Sends `letter` and what comes after it, until there is nothing more or the connection cannot be used any
    /// more. Gives back a letter of which nothing was said because the connection was gone.
    async fn carry_over(
        &self,
        mut session: Session,
        mut letter: Letter,
        supply: &mut dyn Supply,
    ) -> Option<Letter> {
        let timeouts = &self.opener.timeouts;
        let mut announced = false;
        loop {
            session.carried += 1;
            let agreed = match announced {
                true => session.envelope_answers(ANNOUNCED.min(timeouts.command), timeouts.command).await,
                false => session.envelope(&letter, timeouts.command).await,
            };
            let mut ahead = None;
            session.understood |= announced && agreed.is_ok();
            let (verdict, after) = match agreed {
                Ok(()) => {
                    ahead = self.next_ahead(&session, supply);
                    self.hand_over(&mut session, &letter, &mut ahead, supply).await
                }
                Err((stop, _)) if self.must_be_said_again(&session, announced, &stop) => return Some(letter),
                Err((stop, after)) => (stop.verdict(), after),
            };
            supply.ended(letter.id, verdict);
            let usable = match after {
                After::Ready => true,
                After::NeedsReset => session.reset().await,
                After::Unusable => false,
            };
            if !usable {
                // Its envelope at most was said, and the message never will be.
                if let Some(ahead) = ahead {
                    supply.untried(ahead.id);
                }
                return None;
            }
            announced = ahead.is_some();
            let next = match ahead {
                Some(letter) => Some(letter),
                None if session.carried < MESSAGES => self.next(supply),
                None => None,
            };
            match next {
                Some(next) => letter = next,
                None => {
                    self.pool.give_back(session).await;
                    return None;
                }
            }
        }
    }

    /// Whether the letter was refused, or got no answer, for what had become of the connection.
    fn must_be_said_again(&self, session: &Session, announced: bool, stop: &Stop) -> bool {
        let refused = matches!(stop, Stop::Refused(Stage::Mail, _));
        let again = session.carried > 1 && (stop.is_stale() || announced && refused);
        if again {
            log::debug!("{}: a connection was gone, opening another", self.opener.host);
        }
        if again && announced && !session.understood {
            log::info!("{}: does not take one message behind another, sending them singly", self.opener.host);
            self.singly.store(true, Ordering::Relaxed);
        }
        again
    }

    /// Hands over `letter` with the envelope of the one `ahead`, and waits for what comes of it. The one
    /// ahead is taken back when that takes long.
    async fn hand_over(
        &self,
        session: &mut Session,
        letter: &Letter,
        ahead: &mut Option<Letter>,
        supply: &mut dyn Supply,
    ) -> (Verdict, After) {
        let timeouts = &self.opener.timeouts;
        if let Err(stop) = session.message(letter, ahead.as_ref(), timeouts).await {
            // Whatever was said next would be a part of the message that has no end.
            return (stop.verdict(), After::Unusable);
        }
        let mut limit = timeouts.data_done;
        let mut taken_back = false;
        if let Some(waiting) = ahead.as_ref()
            && timeout(PATIENCE.min(limit), session.wire.arrives()).await.is_err()
        {
            supply.untried(waiting.id);
            *ahead = None;
            taken_back = true;
            limit = limit.saturating_sub(PATIENCE);
        }
        let (verdict, after) = match session.acceptance(limit).await {
            Ok(reply) => {
                session.proven = true;
                (Verdict::sent(&reply.line()), After::Ready)
            }
            Err(stop) => (stop.verdict(), After::of(&stop)),
        };
        // The relay goes on to wait for a message that will not come on this connection.
        (verdict, if taken_back { After::Unusable } else { after })
    }

    /// The next one, where it can be announced behind the message that is about to go out.
    fn next_ahead(&self, session: &Session, supply: &mut dyn Supply) -> Option<Letter> {
        let may = session.features.pipelining && session.proven && session.carried < MESSAGES;
        if !may || self.singly.load(Ordering::Relaxed) {
            return None;
        }
        loop {
            let letter = self.next(supply)?;
            match session.carries(&letter) {
                Ok(()) => return Some(letter),
                Err(stop) => supply.ended(letter.id, stop.verdict()),
            }
        }
    }

    /// The next one that can be written as a mail.
    fn next(&self, supply: &mut dyn Supply) -> Option<Letter> {
        loop {
            let envelope = supply.next()?;
            match self.letter(&envelope) {
                Ok(letter) => return Some(letter),
                Err(verdict) => supply.ended(envelope.id, verdict),
            }
        }
    }
}

/// One envelope for one attempt.
pub struct One<'a> {
    envelope: Option<&'a Envelope>,
    verdict: Option<Verdict>,
}

impl<'a> One<'a> {
    pub fn new(envelope: &'a Envelope) -> Self {
        Self { envelope: Some(envelope), verdict: None }
    }

    /// What came of it.
    pub fn verdict(self) -> Verdict {
        self.verdict.unwrap_or_else(|| Verdict::channel_trouble(Reason::LocalError, "it was not tried"))
    }
}

impl Supply for One<'_> {
    fn next(&mut self) -> Option<Envelope> {
        self.envelope.take().cloned()
    }

    fn ended(&mut self, _id: Id, verdict: Verdict) {
        self.verdict = Some(verdict);
    }

    fn untried(&mut self, _id: Id) {}
}
