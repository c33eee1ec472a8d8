//! From a row to what the store takes: defaults filled in, everything checked, one notification per recipient.

use std::time::Duration;

use super::{Row, RowAttachment};
use crate::model::{Attachment, Content, Limits, NewNotification, Problem, Timestamp, line_problems};

/// What holds for every row of one intake.
#[derive(Debug, Clone)]
pub struct Terms {
    /// The moment at which all of them are enqueued.
    pub now: Timestamp,
    /// How large the parts may be.
    pub limits: Limits,
    /// The channel of a row that names none.
    pub channel: String,
    /// The time to live of a row that names none; `None` for ever.
    pub ttl: Option<Duration>,
}

/// The answers that a row cannot give by itself.
pub trait Intake {
    /// Whom a channel tells when nobody is named.
    ///
    /// # Errors
    /// When there is no such channel.
    fn route(&mut self, channel: &str) -> Result<&[String], Problem>;

    /// The recipient as its channel wants it kept.
    ///
    /// # Errors
    /// When the channel can never reach it.
    fn recipient(&mut self, channel: &str, recipient: &str) -> Result<String, Problem>;

    /// The recipient of a known user.
    ///
    /// # Errors
    /// When there is no such user.
    fn user(&mut self, id: &str) -> Result<String, Problem>;

    /// The moment that `not_before` names, by `units::at` in the zone that the writer of the rows lives in.
    ///
    /// # Errors
    /// When it is none, or past.
    fn at(&mut self, text: &str) -> Result<Timestamp, Problem>;

    /// The file that an attachment names. Refuses, unless whoever wrote the rows may name files of this host.
    ///
    /// # Errors
    /// When it cannot be read, or may not be.
    fn file(&mut self, _path: &str) -> Result<Attachment, Problem> {
        Err(Problem::new("attachments", "a path is not taken here; give name and content"))
    }
}

/// An accepted row: its notifications, one per recipient, made one at a time.
#[derive(Debug, Clone)]
pub struct NewRow {
    shape: NewNotification,
    recipients: std::vec::IntoIter<String>,
}

impl NewRow {
    /// How many bytes each of its notifications holds, roughly.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.shape.content.bytes()
    }
}

impl Iterator for NewRow {
    type Item = NewNotification;

    fn next(&mut self) -> Option<NewNotification> {
        let recipient = self.recipients.next()?;
        // The last one takes the content along; all others need a copy.
        let mut new = match self.recipients.len() {
            0 => std::mem::take(&mut self.shape),
            _ => self.shape.clone(),
        };
        new.content.recipient = recipient;
        Some(new)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.recipients.size_hint()
    }
}

impl ExactSizeIterator for NewRow {}

impl Row {
    /// Checks the row and makes notifications of it, at least one.
    ///
    /// # Errors
    /// Everything that forbids accepting it.
    pub fn into_new(mut self, terms: &Terms, intake: &mut dyn Intake) -> Result<NewRow, Vec<Problem>> {
        if self.torn {
            return Err(self.flaws);
        }
        let mut found = Vec::new();
        let channel = self.channel.take().unwrap_or_else(|| terms.channel.clone());
        let recipients = recipients(&mut found, &channel, self.to, self.user_id.as_deref(), intake);
        let not_before = not_before(&mut found, self.not_before.as_deref(), self.wait, terms.now, intake);
        let ttl = self.ttl.or(terms.ttl);
        if ttl.is_some_and(|ttl| ttl.is_zero()) {
            found.push(Problem::new("ttl", "is zero; it would expire before it can be sent"));
        }
        if self.message.is_none() && self.html.is_none() {
            found.push(Problem::new("message", "is missing"));
        }
        let attachments = attachments(&mut found, self.attachments, &terms.limits, intake);
        let mut shape = NewNotification {
            channel,
            content: Content {
                // Each is checked on its own; the shape's own place must only not look empty.
                recipient: "-".to_owned(),
                subject: self.subject,
                message: self.message.unwrap_or_default(),
                html: self.html,
                headers: self.headers,
                attachments,
            },
            user_id: self.user_id,
            priority: self.priority.unwrap_or_default(),
            not_before,
            expires_at: ttl.map(|ttl| not_before.unwrap_or(terms.now).plus(ttl)),
            idempotency_key: self.key,
        };
        found.append(&mut shape.problems(&terms.limits));
        shape.content.recipient.clear();
        // A field that could not be read is told once, not as a missing one too.
        found.retain(|problem| self.flaws.iter().all(|flaw| flaw.field != problem.field));
        found.splice(..0, self.flaws);
        if found.is_empty() { Ok(NewRow { shape, recipients: recipients.into_iter() }) } else { Err(found) }
    }
}

/// Whom the row tells: those it names, else its user, else whom the channel tells. Each once.
fn recipients(
    found: &mut Vec<Problem>,
    channel: &str,
    mut to: Vec<String>,
    user_id: Option<&str>,
    intake: &mut dyn Intake,
) -> Vec<String> {
    let route = match intake.route(channel) {
        Ok(route) => route,
        Err(problem) => {
            found.push(problem);
            return Vec::new();
        }
    };
    if to.is_empty() && user_id.is_none() {
        to.extend_from_slice(route);
    }
    if let (true, Some(id)) = (to.is_empty(), user_id) {
        match intake.user(id) {
            Ok(recipient) => to.push(recipient),
            Err(problem) => {
                found.push(problem);
                return Vec::new();
            }
        }
    }
    if to.is_empty() {
        found.push(Problem::new("to", format!("is missing, and channels.{channel}.to names nobody")));
    }
    if to.len() > Row::RECIPIENTS {
        let what = format!("names {} recipients; at most {} are taken", to.len(), Row::RECIPIENTS);
        found.push(Problem::new("to", what));
        return Vec::new();
    }
    let mut checked: Vec<String> = Vec::with_capacity(to.len());
    for (index, recipient) in to.iter().enumerate() {
        match check(channel, recipient, intake) {
            // Twice the same is never meant, and would arrive twice.
            Ok(recipient) if checked.contains(&recipient) => {}
            Ok(recipient) => checked.push(recipient),
            Err(problem) if to.len() == 1 => found.push(problem),
            Err(problem) => {
                found.push(Problem::new("to", format!("number {}: {}", index + 1, problem.what)));
            }
        }
    }
    checked
}

fn check(channel: &str, recipient: &str, intake: &mut dyn Intake) -> Result<String, Problem> {
    if recipient.trim().is_empty() {
        return Err(Problem::new("to", "is empty; name a recipient"));
    }
    match line_problems("to", recipient).into_iter().next() {
        Some(problem) => Err(problem),
        None => intake.recipient(channel, recipient),
    }
}

/// Stops reading files when their number or their size is beyond what is taken; the model's own check
/// then says so.
fn attachments(
    found: &mut Vec<Problem>,
    all: Vec<RowAttachment>,
    limits: &Limits,
    intake: &mut dyn Intake,
) -> Vec<Attachment> {
    let (mut taken, mut size) = (Vec::new(), 0);
    for one in all {
        if size > limits.attachments || taken.len() > Limits::ATTACHMENTS {
            break;
        }
        let attachment = match one {
            RowAttachment::Content(attachment) => Ok(attachment),
            RowAttachment::Path(path) => intake.file(&path),
        };
        match attachment {
            Ok(attachment) => {
                size += attachment.content.len();
                taken.push(attachment);
            }
            Err(problem) => found.push(problem),
        }
    }
    taken
}

fn not_before(
    found: &mut Vec<Problem>,
    at: Option<&str>,
    wait: Option<Duration>,
    now: Timestamp,
    intake: &mut dyn Intake,
) -> Option<Timestamp> {
    let at = match (at, wait) {
        (None, wait) => return wait.map(|wait| now.plus(wait)),
        (Some(at), None) => at,
        (Some(_), Some(_)) => {
            found.push(Problem::new("not_before", "and `in` are both given; keep one"));
            return None;
        }
    };
    intake.at(at).map_err(|problem| found.push(problem)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp(1_800_000_000_000);

    /// One channel, `mail`, that tells the team; it keeps recipients in lower case and knows none at `nowhere`.
    struct Desk {
        team: Vec<String>,
        files: u32,
    }

    impl Intake for Desk {
        fn route(&mut self, channel: &str) -> Result<&[String], Problem> {
            match channel {
                "mail" => Ok(&self.team),
                _ => Err(Problem::new("channel", "unknown")),
            }
        }

        fn recipient(&mut self, _channel: &str, recipient: &str) -> Result<String, Problem> {
            match recipient.ends_with("@nowhere") {
                true => Err(Problem::new("to", "nowhere")),
                false => Ok(recipient.to_lowercase()),
            }
        }

        fn user(&mut self, id: &str) -> Result<String, Problem> {
            match id {
                "u1" => Ok("one@example.org".into()),
                _ => Err(Problem::new("user_id", "unknown")),
            }
        }

        fn at(&mut self, text: &str) -> Result<Timestamp, Problem> {
            text.parse().map(Timestamp).map_err(|_| Problem::new("not_before", "no time"))
        }

        fn file(&mut self, path: &str) -> Result<Attachment, Problem> {
            self.files += 1;
            Ok(Attachment { name: path.into(), media_type: "text/plain".into(), content: vec![0; 40] })
        }
    }

    fn terms() -> Terms {
        let limits = Limits { message: 100, attachments: 100 };
        Terms { now: NOW, limits, channel: "mail".into(), ttl: None }
    }

    fn plain() -> Row {
        Row { message: Some("m".into()), ..Row::default() }
    }

    fn accept(row: Row) -> Result<Vec<NewNotification>, Vec<String>> {
        let mut desk = Desk { team: vec!["team@example.org".into()], files: 0 };
        let told = |found: Vec<Problem>| found.iter().map(ToString::to_string).collect();
        let accepted = row.into_new(&terms(), &mut desk).map_err(told);
        assert!(desk.files <= 3, "no file is read beyond the limit");
        accepted.map(Iterator::collect)
    }

    fn recipients(row: Row) -> Vec<String> {
        accept(row).unwrap().into_iter().map(|new| new.content.recipient).collect()
    }

    #[test]
    fn recipients_are_those_named_else_the_user_else_whom_the_channel_tells() {
        let to = vec!["A@example.org".to_owned(), "b@example.org".to_owned(), "a@example.org".to_owned()];
        assert_eq!(recipients(plain()), ["team@example.org"]);
        assert_eq!(recipients(Row { user_id: Some("u1".into()), ..plain() }), ["one@example.org"]);
        let named = Row { to, user_id: Some("u2".into()), ..plain() };
        assert_eq!(recipients(named.clone()), ["a@example.org", "b@example.org"], "each once");
        let new = accept(named).unwrap();
        assert!(new.iter().all(|new| new.content.message == "m" && new.user_id.as_deref() == Some("u2")));
    }

    #[test]
    fn the_time_to_live_begins_at_the_earliest_moment() {
        let ttl = Some(Duration::from_secs(60));
        let new = |row: Row| accept(row).unwrap().remove(0);
        assert_eq!(new(Row { ttl, ..plain() }).expires_at, Some(Timestamp(NOW.0 + 60_000)));
        let later = new(Row { ttl, wait: Some(Duration::from_secs(5)), ..plain() });
        assert_eq!(later.not_before, Some(Timestamp(NOW.0 + 5_000)));
        assert_eq!(later.expires_at, Some(Timestamp(NOW.0 + 65_000)));
    }

    #[test]
    fn every_problem_of_a_row_is_found() {
        let row = Row {
            to: vec!["x@nowhere".into(), "a\nb".into(), String::new()],
            not_before: Some("soon".into()),
            ttl: Some(Duration::ZERO),
            subject: Some("a\nb".into()),
            ..Row::default()
        };
        let found = accept(row).unwrap_err();
        let starts = [
            "to: number 1: nowhere",
            "to: number 2: holds",
            "to: number 3: is empty",
            "not_before: ",
            "ttl: ",
            "message: is missing",
            "subject: ",
        ];
        assert_eq!(found.len(), starts.len(), "{found:?}");
        for (found, start) in found.iter().zip(starts) {
            assert!(found.starts_with(start), "{found}");
        }
        let flaws = vec![Problem::new("message", "is a number"), Problem::new("key", "is a list")];
        let row = Row { flaws, ttl: Some(Duration::ZERO), ..Row::default() };
        let told =
            ["message: is a number", "key: is a list", "ttl: is zero; it would expire before it can be sent"];
        assert_eq!(accept(row).unwrap_err(), told);
        assert_eq!(accept(Row::torn(Problem::new("row", "is torn"))).unwrap_err(), ["row: is torn"]);
        assert_eq!(accept(Row { channel: Some("x".into()), ..plain() }).unwrap_err(), ["channel: unknown"]);
    }

    #[test]
    fn too_many_recipients_or_bytes_are_refused() {
        let to = (0..=Row::RECIPIENTS).map(|n| format!("u{n}@example.org")).collect();
        assert!(accept(Row { to, ..plain() }).unwrap_err()[0].starts_with("to: names 1001 recipients"));
        let attachments = vec![RowAttachment::Path("f".into()); 1_000];
        let found = accept(Row { attachments, ..plain() }).unwrap_err();
        assert_eq!(found, ["attachments: are 120 bytes together; at most 100 are taken"]);
    }

    #[test]
    fn who_takes_no_paths_refuses_them() {
        struct Strict;
        impl Intake for Strict {
            fn route(&mut self, _: &str) -> Result<&[String], Problem> {
                Ok(&[])
            }
            fn recipient(&mut self, _: &str, recipient: &str) -> Result<String, Problem> {
                Ok(recipient.into())
            }
            fn user(&mut self, _: &str) -> Result<String, Problem> {
                Ok(String::new())
            }
            fn at(&mut self, _: &str) -> Result<Timestamp, Problem> {
                Ok(NOW)
            }
        }
        let row = Row {
            to: vec!["a@example.org".into()],
            attachments: vec![RowAttachment::Path("/etc/passwd".into())],
            ..plain()
        };
        let found = row.into_new(&terms(), &mut Strict).unwrap_err();
        assert_eq!(found[0].to_string(), "attachments: a path is not taken here; give name and content");
    }
}
