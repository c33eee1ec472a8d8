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

impl Iterator for NewRow {
    type Item = NewNotification;

    fn next(&mut self) -> Option<NewNotification> {
        let recipient = self.recipients.next()?;
        // The last one takes the content along; all others need a copy.
        let mut new = match self.recipients.len() {
            0 => std::mem::replace(&mut self.shape, empty()),
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

fn empty() -> NewNotification {
    NewNotification {
        channel: String::new(),
        content: Content::default(),
        user_id: None,
        priority: crate::model::Priority::default(),
        not_before: None,
        expires_at: None,
        idempotency_key: None,
    }
}

impl Row {
    /// Checks the row and makes notifications of it, at least one.
    ///
    /// # Errors
    /// Everything that forbids accepting it.
    pub fn into_new(mut self, terms: &Terms, intake: &mut dyn Intake) -> Result<NewRow, Vec<Problem>> {
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
        let attachments = self.attachments.into_iter().filter_map(|one| match one {
            RowAttachment::Content(attachment) => Some(attachment),
            RowAttachment::Path(path) => intake.file(&path).map_err(|problem| found.push(problem)).ok(),
        });
        let mut shape = NewNotification {
            channel,
            content: Content {
                // Each is checked on its own; the shape's own place must only not look empty.
                recipient: "-".to_owned(),
                subject: self.subject,
                message: self.message.unwrap_or_default(),
                html: self.html,
                headers: self.headers,
                attachments: attachments.collect(),
            },
            user_id: self.user_id,
            priority: self.priority.unwrap_or_default(),
            not_before,
            expires_at: ttl.map(|ttl| not_before.unwrap_or(terms.now).plus(ttl)),
            idempotency_key: self.key,
        };
        found.append(&mut shape.problems(&terms.limits));
        shape.content.recipient.clear();
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
