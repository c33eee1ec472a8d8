//! Where one notification stands, as one line for people.

use super::Error;
use super::face::{Face, one_line};
use crate::model::{Id, Reason, Status, Timestamp};
use crate::store::{Attempt, Filter, Order, Page, Reader, Summary};
use crate::wire;

/// What lists show of one notification, without its content; `None` when it does not exist.
pub fn summary(reader: &dyn Reader, id: Id) -> Result<Option<Summary>, Error> {
    // The newest one that is older than the next id: a step into the primary key, and no content is read.
    let page = Page { order: Order::NewestFirst, after: Some(id.saturating_add(1)), limit: 1 };
    let rows = reader.list(&Filter::default(), &page)?;
    Ok(rows.into_iter().find(|row| row.id == id))
}

/// Where it stands, with the words of its last attempt that ended.
pub fn of(reader: &dyn Reader, row: &Summary, face: &Face) -> Result<wire::Standing, Error> {
    let attempts = if row.attempts > 0 { reader.attempts(row.id)? } else { Vec::new() };
    let last = attempts.iter().rev().find(|attempt| attempt.ended_at.is_some());
    Ok(wire::Standing {
        id: row.id,
        status: row.status,
        reason: row.reason,
        what: line(row, last, face),
        attempts: row.attempts,
        next_attempt_at: (row.status == Status::Pending).then_some(row.next_attempt_at),
        settled_at: row.settled_at,
    })
}

/// Where it stands and why: `due in 4 min (02:20:11), after 2 attempts: greylisted: 451 4.7.1 try again later`.
pub fn line(row: &Summary, last: Option<&Attempt>, face: &Face) -> String {
    let since = |word: &str| match row.settled_at {
        Some(at) => format!("{word} {}", face.at(at)),
        None => word.to_owned(),
    };
    let words = last.map(said).filter(|words| !words.is_empty());
    let because = |words: Option<String>| words.map(|words| format!(": {words}")).unwrap_or_default();
    match row.status {
        Status::Pending if row.attempts == 0 => due(row.next_attempt_at, face),
        Status::Pending => {
            format!("{}, after {}{}", due(row.next_attempt_at, face), tries(row.attempts), because(words))
        }
        Status::Held => format!("held by {}", holder(row.reason)),
        Status::Sending => format!("an attempt is under way ({} begun)", tries(row.attempts)),
        Status::Sent => format!("{} by {}{}", since("sent"), one_line(&row.channel), because(words)),
        Status::Dead => {
            format!("{}, after {}{}", since("dead"), tries(row.attempts), because(deadly(row.reason, words)))
        }
        Status::Expired => format!("{}, after {}", since("expired"), tries(row.attempts)),
        Status::Cancelled => since("cancelled"),
    }
}

fn due(at: Timestamp, face: &Face) -> String {
    if at > face.now { format!("due {}", face.at(at)) } else { format!("due since {}", face.since(at)) }
}

/// `no attempt`, `1 attempt`, `2 attempts`.
pub fn tries(n: u32) -> String {
    match n {
        0 => "no attempt".to_owned(),
        1 => "1 attempt".to_owned(),
        n => format!("{n} attempts"),
    }
}

/// Who holds it.
pub fn holder(reason: Option<Reason>) -> &'static str {
    match reason {
        None | Some(Reason::Operator) => "an operator",
        Some(_) => "its channel (on_unknown = \"hold\"), for nobody saw the end of its attempt",
    }
}

/// An attempt's reason and the other side's words: `greylisted: 451 4.7.1 try again later`.
pub fn said(attempt: &Attempt) -> String {
    let reason = attempt.reason.map(|reason| reason.to_string());
    let parts = [reason, Some(one_line(&attempt.detail))];
    parts.into_iter().flatten().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(": ")
}

/// Why it is dead: its own reason, and the last attempt's when that says more.
fn deadly(reason: Option<Reason>, words: Option<String>) -> Option<String> {
    let Some(reason) = reason else { return words };
    match words {
        Some(words) if words.starts_with(reason.as_str()) => Some(words),
        Some(words) => Some(format!("{reason}; last: {words}")),
        None => Some(reason.to_string()),
    }
}

/// The failure for ids that do not exist; the ids were said before.
pub fn unknown() -> Error {
    Error::new(super::Exit::NoInput, "not every id exists")
        .hint("`notifyctl list` shows what there is; a purge may have removed it")
}
