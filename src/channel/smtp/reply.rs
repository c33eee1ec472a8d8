//! What a relay answers: replies, the features it offers, and the ways in which an answer fails to come.

use std::io;
use std::time::Duration;

use super::login::Said;
use super::options::Mechanism;

/// A reply.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// The code: three digits, the first of which is 2 to 5.
    pub code: u16,
    /// The text as it was said, one entry a line: for judging alone. What is shown is [`Reply::line`].
    pub lines: Vec<String>,
    /// The text in one line without what nobody may be shown, where that is another one.
    shown: Option<String>,
}

impl Reply {
    /// Reads tidied lines ([`super::framer`]): each a code, the same in all of them, and text. Of a code that nobody
    /// knows (571 is some filters' no) the first digit says enough (RFC 5321 section 4.2.1).
    pub fn parse(lines: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(lines).ok()?;
        let mut reply = Self { code: 0, lines: Vec::with_capacity(1), shown: None };
        for line in text.split_terminator("\r\n") {
            let (digits, rest) = line.split_at_checked(3)?;
            let code = match digits.as_bytes() {
                [b'2'..=b'5', b'0'..=b'9', b'0'..=b'9'] => digits.parse().ok()?,
                _ => return None,
            };
            if !rest.starts_with([' ', '-']) || !reply.lines.is_empty() && code != reply.code {
                return None;
            }
            reply.code = code;
            reply.lines.push(rest[1..].to_owned());
        }
        (!reply.lines.is_empty()).then_some(reply)
    }

    /// The text in one line, as it was said.
    pub fn text(&self) -> String {
        self.lines.join(" ")
    }

    /// Keeps what a login `said` out of what is shown. It stays in what is judged: a short password may happen to be a
    /// word that means something here.
    pub fn hide(&mut self, said: &Said) {
        self.shown = said.removed_from(&self.lines);
    }

    /// The code and the text, as they may be shown.
    pub fn line(&self) -> String {
        match &self.shown {
            Some(text) => format!("{} {}", self.code, text.trim()),
            None => format!("{} {}", self.code, self.text().trim()),
        }
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
        let lines = text.split('|').map(str::to_owned).collect();
        Reply { code: code.parse().unwrap(), lines, shown: None }
    }

    #[test]
    fn what_is_no_reply_is_not_taken_for_one() {
        let parse =
            |text: &str| Reply::parse(text.as_bytes()).map(|reply| (reply.code, reply.lines.join("|")));
        for (text, read) in [
            ("250 ok\r\n", Some((250, "ok".to_owned()))),
            ("250 \r\n", Some((250, String::new()))),
            ("250-a\r\n250 b\r\n", Some((250, "a|b".to_owned()))),
            ("250-a\r\n550 b\r\n", None),
            ("999 what\r\n", None),
            ("571 refused\r\n", Some((571, "refused".to_owned()))),
            ("299 what\r\n", Some((299, "what".to_owned()))),
            ("199 what\r\n", None),
            ("600 what\r\n", None),
            ("+50 what\r\n", None),
            ("25é what\r\n", None),
            ("2500 what\r\n", None),
            ("garbage\r\n", None),
            ("25\r\n", None),
            ("", None),
        ] {
            assert_eq!(parse(text), read, "{text:?}");
        }
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
