//! One message over an open connection: MAIL, RCPT, DATA, the message, and how far it came.

use std::time::Duration;

use lettre::Address;
use lettre::transport::smtp::commands::{Data, Mail, Rcpt};
use lettre::transport::smtp::extension::{MailBodyParameter, MailParameter};
use tokio::time::timeout;

use super::classify::{Stage, refusal, silence};
use super::options::Timeouts;
use super::reply::{Broken, Features, Reply};
use super::session::Session;
use crate::model::{Outcome, Reason, Verdict};

/// How much of a message is handed over before progress is looked at, in bytes.
const BITE: usize = 64 * 1024;

/// How long to look for an answer after a message could not be handed over whole.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// What is to be sent.
pub struct Letter {
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
    /// Whether a connection that had been idle turned out to be gone: nothing was said but MAIL.
    pub fn is_stale(&self) -> bool {
        match self {
            Self::Refused(stage, reply) => *stage == Stage::Mail && reply.code == 421,
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
    fn of(stop: &Stop) -> Self {
        match stop {
            Stop::Silent(..) => Self::Unusable,
            Stop::Refused(_, reply) if reply.code == 421 => Self::Unusable,
            Stop::Refused(Stage::Mail | Stage::Done, _) | Stop::Unsupported(_) => Self::Ready,
            Stop::Refused(..) => Self::NeedsReset,
        }
    }
}

impl Session {
    /// Sends `letter`; the relay's own words when it took responsibility for it.
    ///
    /// # Errors
    /// Why it was not accepted, and what can be done with the connection.
    pub async fn send(&mut self, letter: &Letter, timeouts: &Timeouts) -> Result<Reply, (Stop, After)> {
        self.carried += 1;
        let ended = |stop: Stop| {
            let after = After::of(&stop);
            (stop, after)
        };
        carries(&self.features, letter).map_err(|why| ended(Stop::Unsupported(why)))?;
        let mail = Mail::new(Some(letter.from.clone()), parameters(&self.features, letter));
        let rcpt = Rcpt::new(letter.to.clone(), Vec::new());
        match self.features.pipelining {
            true => self.envelope_at_once(mail, rcpt, timeouts.command).await?,
            false => self.envelope(mail, rcpt, timeouts.command).await.map_err(ended)?,
        }
        self.message(letter, timeouts).await.map_err(ended)
    }

    async fn envelope(&mut self, mail: Mail, rcpt: Rcpt, limit: Duration) -> Result<(), Stop> {
        judge(Stage::Mail, self.command(mail, limit).await)?;
        judge(Stage::Rcpt, self.command(rcpt, limit).await)?;
        judge(Stage::Data, self.command(Data, limit).await)
    }

    /// MAIL, RCPT and DATA in one write. DATA may end such a group (RFC 2920 section 3.1); every reply is
    /// read, whatever the one before it says.
    async fn envelope_at_once(
        &mut self,
        mail: Mail,
        rcpt: Rcpt,
        limit: Duration,
    ) -> Result<(), (Stop, After)> {
        let mut first = None;
        let mut answer = self.command(format!("{mail}{rcpt}{Data}"), limit).await;
        for stage in [Stage::Mail, Stage::Rcpt, Stage::Data] {
            if stage != Stage::Mail {
                self.wire.await_another();
                answer = self.reply(limit).await;
            }
            match judge(stage, answer.clone()) {
                // A relay that wants a message for nobody is left without one: closing says so.
                Ok(()) if stage == Stage::Data => {
                    return first.map_or(Ok(()), |stop| Err((stop, After::Unusable)));
                }
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
        Ok(())
    }

    /// Hands over the message and its final dot, and waits for the answer to it.
    async fn message(&mut self, letter: &Letter, timeouts: &Timeouts) -> Result<Reply, Stop> {
        let bytes = stuffed(&letter.message);
        let handed_over = timeout(timeouts.transfer, async {
            for bite in bytes.chunks(BITE) {
                match timeout(timeouts.command, self.wire.send(bite)).await {
                    Ok(sent) => sent.map_err(Broken::from)?,
                    Err(_) => return Err(Broken::Timeout(timeouts.command)),
                }
            }
            Ok(())
        })
        .await
        .unwrap_or(Err(Broken::Timeout(timeouts.transfer)));
        if let Err(broken) = handed_over {
            // The last bytes never left this host, the final dot among them. A relay that refuses in the
            // middle of a message may have said why.
            return Err(match self.reply(LAST_WORDS).await {
                Ok(reply) if !reply.is_positive() => Stop::Refused(Stage::Done, reply),
                _ => Stop::Silent(Stage::Content, broken),
            });
        }
        match self.reply(timeouts.data_done).await {
            Ok(reply) if reply.code / 100 == 2 => Ok(reply),
            Ok(reply) if reply.code / 100 == 3 => {
                Err(Stop::Silent(Stage::Done, Broken::Garbled(reply.line())))
            }
            Ok(reply) => Err(Stop::Refused(Stage::Done, reply)),
            Err(broken) => Err(Stop::Silent(Stage::Done, broken)),
        }
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

/// Whether the relay can carry the letter as it is.
fn carries(features: &Features, letter: &Letter) -> Result<(), String> {
    if needs_utf8(letter) && !features.smtp_utf8 {
        return Err("the address is not ASCII, and the relay does not offer SMTPUTF8".into());
    }
    match features.size {
        Some(Some(limit)) if letter.message.len() as u64 > limit => Err(format!(
            "the message has {} bytes, and the relay takes at most {limit}",
            letter.message.len()
        )),
        _ => Ok(()),
    }
}

fn parameters(features: &Features, letter: &Letter) -> Vec<MailParameter> {
    let mut parameters = Vec::new();
    if features.size.is_some() {
        parameters.push(MailParameter::Size(letter.message.len()));
    }
    if !letter.message.is_ascii() && features.eight_bit {
        parameters.push(MailParameter::Body(MailBodyParameter::EightBitMime));
    }
    if needs_utf8(letter) {
        parameters.push(MailParameter::SmtpUtfEight);
    }
    parameters
}

fn needs_utf8(letter: &Letter) -> bool {
    [&letter.from, &letter.to].iter().any(|address| !AsRef::<str>::as_ref(address).is_ascii())
}

/// The message with a dot before every line that begins with one (RFC 5321 section 4.5.2), and the final dot.
fn stuffed(message: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(message.len() + message.len() / 64 + 8);
    for line in message.split_inclusive(|b| *b == b'\n') {
        if line.starts_with(b".") {
            bytes.push(b'.');
        }
        bytes.extend_from_slice(line);
    }
    if !bytes.ends_with(b"\r\n") {
        bytes.extend_from_slice(b"\r\n");
    }
    bytes.extend_from_slice(b".\r\n");
    bytes
}
