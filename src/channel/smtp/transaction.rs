//! One message over an open connection: MAIL, RCPT, DATA, the message, and how far it came.

use std::fmt::{self, Display};
use std::io::Write as _;
use std::time::Duration;

use lettre::Address;
use lettre::transport::smtp::commands::{Data, Mail, Rcpt};
use lettre::transport::smtp::extension::{MailBodyParameter, MailParameter};
use tokio::time::timeout;

use super::classify::{Stage, refusal, silence};
use super::options::Timeouts;
use super::reply::{Broken, Features, Reply};
use super::session::Session;
use crate::model::{Id, Outcome, Reason, Verdict};

/// How much of a message is handed over before progress is looked at, in bytes.
const BITE: usize = 64 * 1024;

/// How long to look for an answer after a message could not be handed over whole.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// How many answers MAIL, RCPT and DATA have.
const ENVELOPE: usize = 3;

/// What is to be sent.
pub struct Letter {
    /// Which notification it is.
    pub id: Id,
    /// The envelope's sender.
    pub from: Address,
    /// The envelope's recipient.
    pub to: Address,
    /// The message, with CRLF line ends.
    pub message: Vec<u8>,
}

/// Why a message was not accepted, and at which stage.
#[derive(Debug)]
pub enum Stop {
    /// The relay said no.
    Refused(Stage, Reply),
    /// No answer came.
    Silent(Stage, Broken),
    /// The relay cannot carry it; it was not asked.
    Unsupported(String),
}

impl Stop {
    /// Whether a connection that had been idle turned out to be gone, or to have carried all that the relay lets it
    /// carry, where another one may go on: nothing was said but MAIL. Most say so with 421, OpenSMTPD with 452.
    pub fn is_stale(&self) -> bool {
        match self {
            Self::Refused(stage, reply) => *stage == Stage::Mail && matches!(reply.code, 421 | 452),
            Self::Silent(stage, _) => *stage == Stage::Mail,
            Self::Unsupported(_) => false,
        }
    }

    /// What it means.
    pub fn verdict(&self) -> Verdict {
        match self {
            Self::Refused(stage, reply) => refusal(*stage, reply),
            Self::Silent(stage, broken) => silence(*stage, broken),
            Self::Unsupported(why) => Verdict::new(Outcome::Rejected, Reason::Unsupported, why),
        }
    }
}

/// What a message that was not accepted leaves behind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum After {
    /// Ready for the next message.
    Ready,
    /// A transaction was begun and must be forgotten first.
    NeedsReset,
    /// Out of step, or closed.
    Unusable,
}

impl After {
    pub fn of(stop: &Stop) -> Self {
        match stop {
            Stop::Silent(..) => Self::Unusable,
            Stop::Refused(_, reply) if reply.code == 421 => Self::Unusable,
            Stop::Refused(Stage::Mail | Stage::Done, _) | Stop::Unsupported(_) => Self::Ready,
            Stop::Refused(..) => Self::NeedsReset,
        }
    }
}

impl From<Stop> for (Stop, After) {
    fn from(stop: Stop) -> Self {
        let after = After::of(&stop);
        (stop, after)
    }
}

impl Session {
    /// Says MAIL, RCPT and DATA, and hears that the message may come; in one write where the relay offers that.
    ///
    /// # Errors
    /// Why it may not, and what can be done with the connection.
    pub async fn envelope(&mut self, letter: &Letter, limit: Duration) -> Result<(), (Stop, After)> {
        self.carries(letter)?;
        let envelope = Commands { letter, parameters: parameters(&self.features, letter) };
        if self.features.pipelining {
            if let Err(broken) = self.say(&envelope, ENVELOPE, limit).await {
                return Err(Stop::Silent(Stage::Mail, broken).into());
            }
            return self.envelope_answers(limit, limit).await;
        }
        let Commands { parameters, .. } = envelope;
        let mail = Mail::new(Some(letter.from.clone()), parameters);
        judge(Stage::Mail, self.command(mail, limit).await)?;
        judge(Stage::Rcpt, self.command(Rcpt::new(letter.to.clone(), Vec::new()), limit).await)?;
        judge(Stage::Data, self.command(Data, limit).await)?;
        Ok(())
    }

    /// The answers to MAIL, RCPT and DATA that were written together. DATA may end such a group (RFC 2920
    /// section 3.1); every reply is read, whatever the one before it says.
    ///
    /// # Errors
    /// As [`Session::envelope`].
    pub async fn envelope_answers(
        &mut self,
        mail_limit: Duration,
        limit: Duration,
    ) -> Result<(), (Stop, After)> {
        let mut first: Option<Stop> = None;
        for (stage, limit) in [(Stage::Mail, mail_limit), (Stage::Rcpt, limit), (Stage::Data, limit)] {
            match judge(stage, self.reply(limit).await) {
                Ok(()) if stage == Stage::Data => break,
                Ok(()) => {}
                Err(stop) => {
                    let after = After::of(&stop);
                    let stop = first.take().unwrap_or(stop);
                    if after == After::Unusable || stage == Stage::Data {
                        return Err((stop, after));
                    }
                    first = Some(stop);
                }
            }
        }
        match first {
            None => Ok(()),
            Some(stop) => Err(self.nothing_for_nobody(stop, limit).await),
        }
    }

    /// A relay that refused the recipient, and wants a message all the same, gets the dot alone (RFC 2920
    /// section 3.1). One that refused the sender and not the recipient would have somebody for it: it is left.
    async fn nothing_for_nobody(&mut self, stop: Stop, limit: Duration) -> (Stop, After) {
        let dot = match &stop {
            Stop::Refused(Stage::Rcpt, _) => self.command(".\r\n", limit).await,
            _ => return (stop, After::Unusable),
        };
        let after = match dot {
            Ok(reply) if reply.code != 421 && reply.code / 100 != 3 => After::Ready,
            _ => After::Unusable,
        };
        (stop, after)
    }

    /// Hands over the message and its final dot, and in the same write the envelope of the `next` one: RFC
    /// 2920 section 3.1 lets the end of a message be the first of a group.
    ///
    /// # Errors
    /// When it cannot be handed over whole.
    pub async fn message(
        &mut self,
        letter: &Letter,
        next: Option<&Letter>,
        timeouts: &Timeouts,
    ) -> Result<(), Stop> {
        let mut bytes = std::mem::take(&mut self.outgoing);
        bytes.clear();
        stuff(&letter.message, &mut bytes);
        let whole = bytes.len();
        let answers = 1 + next.map_or(0, |_| ENVELOPE);
        if let Some(letter) = next {
            let parameters = parameters(&self.features, letter);
            // A Vec takes everything.
            let _ = write!(bytes, "{}", Commands { letter, parameters });
        }
        let mut sent = 0;
        let handed_over = self.hand_over(&bytes, answers, &mut sent, timeouts).await;
        if bytes.len() <= BITE {
            self.outgoing = bytes;
        }
        match handed_over {
            // With the final dot out, the message is the relay's, whatever became of the rest.
            Ok(()) => Ok(()),
            Err(_) if sent >= whole => Ok(()),
            // The last bytes never left this host, the final dot among them. A relay that refuses in the
            // middle of a message may have said why.
            Err(broken) => Err(match self.reply(LAST_WORDS).await {
                Ok(reply) if !reply.is_positive() => Stop::Refused(Stage::Done, reply),
                _ => Stop::Silent(Stage::Content, broken),
            }),
        }
    }

    async fn hand_over(
        &mut self,
        bytes: &[u8],
        answers: usize,
        sent: &mut usize,
        timeouts: &Timeouts,
    ) -> Result<(), Broken> {
        self.wire.ask(answers)?;
        let bites = async {
            for bite in bytes.chunks(BITE) {
                match timeout(timeouts.command, self.wire.send(bite, sent)).await {
                    Ok(sent) => sent?,
                    Err(_) => return Err(Broken::Timeout(timeouts.command)),
                }
            }
            Ok(())
        };
        match timeout(timeouts.transfer, bites).await {
            Ok(handed_over) => handed_over,
            Err(_) => Err(Broken::Timeout(timeouts.transfer)),
        }
    }

    /// Waits for the answer to a message that was handed over; the relay's own words when it took
    /// responsibility for it.
    ///
    /// # Errors
    /// Why it was not accepted, as far as anybody knows.
    pub async fn acceptance(&mut self, limit: Duration) -> Result<Reply, Stop> {
        match self.reply(limit).await {
            Ok(reply) if reply.code / 100 == 2 => Ok(reply),
            Ok(reply) if reply.code / 100 == 3 => {
                Err(Stop::Silent(Stage::Done, Broken::Garbled(reply.line())))
            }
            Ok(reply) => Err(Stop::Refused(Stage::Done, reply)),
            Err(broken) => Err(Stop::Silent(Stage::Done, broken)),
        }
    }

    /// Whether the relay can carry the letter as it is.
    ///
    /// # Errors
    /// When it says that it cannot.
    pub fn carries(&self, letter: &Letter) -> Result<(), Stop> {
        if needs_utf8(letter) && !self.features.smtp_utf8 {
            let why = "an address is not ASCII, and the relay does not offer SMTPUTF8";
            return Err(Stop::Unsupported(why.into()));
        }
        match self.features.size {
            Some(Some(limit)) if letter.message.len() as u64 > limit => Err(Stop::Unsupported(format!(
                "the message has {} bytes, and the relay takes at most {limit}",
                letter.message.len()
            ))),
            _ => Ok(()),
        }
    }
}

/// MAIL, RCPT and DATA of a letter, written together.
struct Commands<'a> {
    letter: &'a Letter,
    parameters: Vec<MailParameter>,
}

impl Display for Commands<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mail = Mail::new(Some(self.letter.from.clone()), self.parameters.clone());
        write!(f, "{mail}{}{Data}", Rcpt::new(self.letter.to.clone(), Vec::new()))
    }
}

/// Whether the relay agreed: with 2yz, and to DATA with 354.
fn judge(stage: Stage, answer: Result<Reply, Broken>) -> Result<(), Stop> {
    let wanted = if stage == Stage::Data { 3 } else { 2 };
    match answer {
        Ok(reply) if reply.code / 100 == wanted => Ok(()),
        Ok(reply) if reply.is_positive() => Err(Stop::Silent(stage, Broken::Garbled(reply.line()))),
        Ok(reply) => Err(Stop::Refused(stage, reply)),
        Err(broken) => Err(Stop::Silent(stage, broken)),
    }
}

fn parameters(features: &Features, letter: &Letter) -> Vec<MailParameter> {
    let mut parameters = Vec::new();
    if features.size.is_some() {
        parameters.push(MailParameter::Size(letter.message.len()));
    }
    if features.eight_bit && !letter.message.is_ascii() {
        parameters.push(MailParameter::Body(MailBodyParameter::EightBitMime));
    }
    if needs_utf8(letter) {
        parameters.push(MailParameter::SmtpUtfEight);
    }
    parameters
}

/// An address that is not ASCII stands in the envelope or in the message, which is ASCII but for that.
fn needs_utf8(letter: &Letter) -> bool {
    let foreign = |address: &Address| !AsRef::<str>::as_ref(address).is_ascii();
    foreign(&letter.from) || foreign(&letter.to) || !letter.message.is_ascii()
}

/// The message with a dot before every line that begins with one (RFC 5321 section 4.5.2), and the final dot.
fn stuff(message: &[u8], bytes: &mut Vec<u8>) {
    bytes.reserve(message.len() + message.len() / 64 + 256);
    if message.starts_with(b".") {
        bytes.push(b'.');
    }
    let mut rest = message;
    while let Some(at) = memchr::memmem::find(rest, b"\n.") {
        let (lines, others) = rest.split_at(at + 1);
        bytes.extend_from_slice(lines);
        bytes.push(b'.');
        rest = others;
    }
    bytes.extend_from_slice(rest);
    if !bytes.ends_with(b"\r\n") {
        bytes.extend_from_slice(b"\r\n");
    }
    bytes.extend_from_slice(b".\r\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dots_at_the_start_of_lines_are_doubled_and_no_others() {
        for (message, expected) in [
            ("a\r\n", "a\r\n.\r\n"),
            ("a", "a\r\n.\r\n"),
            ("", "\r\n.\r\n"),
            (".", "..\r\n.\r\n"),
            (".\r\n.\r\n..a\r\n\r\n.b.c\r\n", "..\r\n..\r\n...a\r\n\r\n..b.c\r\n.\r\n"),
        ] {
            let mut bytes = Vec::new();
            stuff(message.as_bytes(), &mut bytes);
            assert_eq!(String::from_utf8(bytes).unwrap(), expected, "{message:?}");
        }
    }
}
