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

/// Since when it stands there, and why: `due in 4 m (02:20:11), after 2 attempts: greylisted: 451 try again later`.
pub fn line(row: &Summary, last: Option<&Attempt>, face: &Face) -> String {
    let at = row.settled_at.map_or_else(|| "some time ago".to_owned(), |at| face.at(at));
    let words = last.map(said).filter(|words| !words.is_empty());
    let because = |words: Option<String>| words.map(|words| format!(": {words}")).unwrap_or_default();
    let tried = tries(row.attempts);
    match row.status {
        Status::Pending if row.attempts == 0 => due(row.next_attempt_at, face),
        Status::Pending => format!("{}, after {tried}{}", due(row.next_attempt_at, face), because(words)),
        Status::Held => format!("by {}", holder(row.reason)),
        Status::Sending => format!("attempt {} is under way", row.attempts),
        Status::Sent => {
            let reply = last.map(|attempt| one_line(&attempt.detail)).filter(|reply| !reply.is_empty());
            format!("{at} by {}{}", one_line(&row.channel), because(reply))
        }
        Status::Dead => format!("{at}, after {tried}{}", because(deadly(row.reason, words))),
        Status::Expired => format!("{at}, after {tried}{}", because(words)),
        Status::Cancelled => at,
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

/// How many unknown ids are named in an error.
const NAMED: usize = 5;

/// The failure for ids that do not exist; success when there are none.
pub fn all_known(missing: &[Id]) -> Result<super::Exit, Error> {
    let mut names: Vec<String> = missing.iter().take(NAMED).map(Id::to_string).collect();
    if missing.len() > NAMED {
        names.push(format!("{} more", missing.len() - NAMED));
    }
    let last = names.pop();
    let message = match (last, names.join(", ")) {
        (None, _) => return Ok(super::Exit::Ok),
        (Some(one), others) if others.is_empty() => format!("notification {one} does not exist"),
        (Some(last), others) => format!("notifications {others} and {last} do not exist"),
    };
    Err(Error::new(super::Exit::NoInput, message)
        .hint("`notifyctl list` shows what there is; a purge may have removed it"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_ids_are_named_up_to_a_few() {
        let said = |ids: &[Id]| all_known(ids).map_err(|error| error.to_string());
        assert_eq!(said(&[]), Ok(crate::cli::Exit::Ok));
        assert_eq!(said(&[7]), Err("notification 7 does not exist".into()));
        assert_eq!(said(&[7, 8]), Err("notifications 7 and 8 do not exist".into()));
        let many: Vec<Id> = (1..=9).collect();
        assert_eq!(said(&many), Err("notifications 1, 2, 3, 4, 5 and 4 more do not exist".into()));
    }
}
