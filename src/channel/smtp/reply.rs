//! What a relay answers: replies, the features it offers, and the ways in which an answer fails to come.

use std::error::Error as _;
use std::io;
use std::time::Duration;

use lettre::transport::smtp::response::Response;

use super::options::Mechanism;

/// A reply.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// The code: three digits, the first of which is 2 to 5.
    pub code: u16,
    /// The text, one entry a line; the lines of a refusal are joined.
    pub lines: Vec<String>,
}

impl Reply {
    /// The text in one line.
    pub fn text(&self) -> String {
        self.lines.join(" ")
    }

    /// The code and the text.
    pub fn line(&self) -> String {
        format!("{} {}", self.code, self.text().trim())
    }

    /// The enhanced status code (RFC 3463) that the text begins with, when its class is the basic code's or
    /// another failure's (RFC 2034 section 4).
    pub fn enhanced(&self) -> Option<(u16, u16, u16)> {
        let word = self.lines.first()?.split_whitespace().next()?;
        let mut numbers = word.split('.').map(|part| match part.len() {
            1..=3 if part.bytes().all(|b| b.is_ascii_digit()) => part.parse::<u16>().ok(),
            _ => None,
        });
        let (class, subject, detail) = (numbers.next()??, numbers.next()??, numbers.next()??);
        let fits = class == self.code / 100 || matches!((class, self.code / 100), (4 | 5, 4 | 5));
        (numbers.next().is_none() && fits).then_some((class, subject, detail))
    }

    /// Whether the refusal lasts: the enhanced code's class where there is one, else the basic code's.
    pub fn is_permanent(&self) -> bool {
        self.enhanced().map_or(self.code / 100, |(class, ..)| class) == 5
    }

    /// Whether the relay agrees, or asks us to go on.
    pub fn is_positive(&self) -> bool {
        matches!(self.code / 100, 2 | 3)
    }
}

impl From<&Response> for Reply {
    fn from(response: &Response) -> Self {
        Self { code: response.code().into(), lines: response.message().map(str::to_owned).collect() }
    }
}

/// Why no reply came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Broken {
    /// It took longer than its limit.
    Timeout(Duration),
    /// The connection ended or failed.
    Lost(String),
    /// Something came that is no reply.
    Garbled(String),
}

impl Broken {
    /// In words, with what we waited for.
    pub fn line(&self, awaited: &str) -> String {
        match self {
            Self::Timeout(limit) => format!("{awaited}: no answer within {limit:?}"),
            Self::Lost(why) => format!("{awaited}: the connection was lost: {why}"),
            Self::Garbled(why) => format!("{awaited}: no SMTP reply: {why}"),
        }
    }
}

impl From<io::Error> for Broken {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::InvalidData => Self::Garbled(error.to_string()),
            _ => Self::Lost(error.to_string()),
        }
    }
}

/// What lettre made of an answer; `ended` says whether the other side had closed its end by then.
pub fn outcome(
    result: Result<Response, lettre::transport::smtp::Error>,
    ended: bool,
) -> Result<Reply, Broken> {
    let error = match result {
        Ok(response) => return Ok(Reply::from(&response)),
        Err(error) => error,
    };
    let source = error.source();
    let said = source.map(ToString::to_string).unwrap_or_default();
    if let Some(code) = error.status() {
        return Ok(Reply { code: code.into(), lines: vec![said] });
    }
    match source.and_then(|source| source.downcast_ref::<io::Error>()) {
        Some(io) => Err(io::Error::new(io.kind(), said).into()),
        None if ended => Err(Broken::Lost("closed by the relay".into())),
        None => Err(Broken::Garbled(said)),
    }
}

/// What a relay offers, from its answer to EHLO.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Features {
    /// STARTTLS (RFC 3207).
    pub starttls: bool,
    /// PIPELINING (RFC 2920).
    pub pipelining: bool,
    /// 8BITMIME (RFC 6152).
    pub eight_bit: bool,
    /// SMTPUTF8 (RFC 6531).
    pub smtp_utf8: bool,
    /// SIZE (RFC 1870); its limit in bytes, where it names one.
    pub size: Option<Option<u64>>,
    /// The ways to log in (RFC 4954) that we know.
    pub auth: Vec<Mechanism>,
}

impl Features {
    /// Reads the lines after the first, which is the relay's name.
    pub fn read(reply: &Reply) -> Self {
        let mut features = Self::default();
        for line in reply.lines.iter().skip(1) {
            // `AUTH=` is what relays said before RFC 2554, and some still say beside `AUTH `.
            let line = line.to_ascii_uppercase().replacen("AUTH=", "AUTH ", 1);
            let mut words = line.split_whitespace();
            match words.next() {
                Some("STARTTLS") => features.starttls = true,
                Some("PIPELINING") => features.pipelining = true,
                Some("8BITMIME") => features.eight_bit = true,
                Some("SMTPUTF8") => features.smtp_utf8 = true,
                Some("SIZE") => {
                    let limit = words.next().and_then(|limit| limit.parse().ok());
                    features.size = Some(limit.filter(|limit| *limit > 0));
                }
                Some("AUTH") => features.auth.extend(words.filter_map(mechanism)),
                _ => {}
            }
        }
        features
    }
}

fn mechanism(word: &str) -> Option<Mechanism> {
    match word {
        "PLAIN" => Some(Mechanism::Plain),
        "LOGIN" => Some(Mechanism::Login),
        "XOAUTH2" => Some(Mechanism::Xoauth2),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reply(line: &str) -> Reply {
        let (code, text) = line.split_once(' ').unwrap();
        Reply { code: code.parse().unwrap(), lines: text.split('|').map(str::to_owned).collect() }
    }

    #[test]
    fn the_enhanced_code_wins_when_it_is_one() {
        for (line, enhanced, permanent) in [
            ("550 5.1.1 unknown", Some((5, 1, 1)), true),
            ("550 4.7.1 later", Some((4, 7, 1)), false),
            ("451 5.7.1 never", Some((5, 7, 1)), true),
            ("550 2.0.0 confused", None, true),
            ("450 greylisted", None, false),
            ("550 5.1 unknown", None, true),
            ("550 5.1.1.1 unknown", None, true),
            ("550 5.1.1234 unknown", None, true),
            ("250 2.0.0 ok", Some((2, 0, 0)), false),
            ("550 192.0.2.1 is listed", None, true),
        ] {
            assert_eq!((reply(line).enhanced(), reply(line).is_permanent()), (enhanced, permanent), "{line}");
        }
    }

    #[test]
    fn features_are_read_from_the_answer_to_ehlo() {
        let features = Features::read(&reply(
            "250 relay STARTTLS|PIPELINING|size 1000|AUTH PLAIN CRAM-MD5|AUTH=LOGIN|8bitmime|SMTPUTF8|HELP",
        ));
        let auth = vec![Mechanism::Plain, Mechanism::Login];
        assert_eq!(
            features,
            Features {
                starttls: false,
                pipelining: true,
                eight_bit: true,
                smtp_utf8: true,
                size: Some(Some(1000)),
                auth
            }
        );
        assert_eq!(Features::read(&reply("250 relay|SIZE 0")).size, Some(None));
        assert_eq!(Features::read(&reply("250 relay|SIZE")).size, Some(None));
        assert_eq!(Features::read(&reply("250 SIZE 5")).size, None);
    }
}
