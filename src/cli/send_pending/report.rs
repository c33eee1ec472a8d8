//! What a pass says at its end: a tally where somebody looks, and only bad news where nobody does.

use super::pass::Done;
use crate::cli::Error;
use crate::cli::output::{Out, say};
use crate::delivery::ChannelTally;
use crate::units;
use crate::wire::{self, rfc3339};

/// Prints the tally.
///
/// # Errors
/// When standard output cannot be written.
pub(super) fn print(out: &mut Out, done: &Done, json: bool) -> Result<(), Error> {
    if json {
        return out.json(&shape(done));
    }
    if out.is_terminal() {
        return out.line(line(done));
    }
    let (dead, held) = (done.tally.total.dead, done.tally.total.held);
    if dead > 0 {
        say(format_args!("{dead} died in this pass; `notifyctl list --status dead` shows them"));
    }
    if held > 0 {
        say(format_args!(
            "{held} are held because nobody saw the end of the attempt; `notifyctl list --status held` shows them"
        ));
    }
    Ok(())
}

/// The tally as one line for people.
fn line(done: &Done) -> String {
    let (tally, left) = (&done.tally, &done.left);
    let all = [
        ("sent", tally.total.sent),
        ("deferred", tally.total.deferred),
        ("dead", tally.total.dead),
        ("expired", tally.expired()),
        ("held", tally.total.held),
        ("left", left.pending),
    ];
    // The first and the last always; what did not happen in between is not worth a word.
    let told = all.iter().enumerate().filter(|(i, (_, n))| *n > 0 || *i == 0 || *i + 1 == all.len());
    let mut line = told.map(|(_, (word, n))| format!("{n} {word}")).collect::<Vec<_>>().join(", ");
    let now = tally.ended_at;
    if left.oldest_due_at.is_some() {
        line.push_str("; some are still due");
    }
    if let Some(at) = left.next_due_at {
        line.push_str(&format!("; the next one is due {}", units::ago(at, now)));
    }
    line
}

fn shape(done: &Done) -> wire::tally::Tally<'_> {
    let (tally, left) = (&done.tally, &done.left);
    let total = ChannelTally { expired: tally.expired(), ..tally.total };
    wire::tally::Tally {
        worker: &done.worker,
        started_at: rfc3339(tally.started_at),
        ended_at: rfc3339(tally.ended_at),
        total: counts(&total),
        given_back: tally.given_back,
        orphans: tally.orphans,
        leases_lost: tally.leases_lost,
        left: left.pending,
        oldest_due_at: left.oldest_due_at.map(rfc3339),
        next_due_at: left.next_due_at.map(rfc3339),
        channels: tally.channels.iter().map(|(name, tally)| (name.as_str(), counts(tally))).collect(),
    }
}

fn counts(tally: &ChannelTally) -> wire::tally::Counts {
    let &ChannelTally { sent, deferred, dead, expired, held } = tally;
    wire::tally::Counts { sent, deferred, dead, expired, held }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::send_pending::pass::Left;
    use crate::delivery::Tally;
    use crate::model::Timestamp;

    fn done() -> Done {
        let ended_at = Timestamp(1_800_000_000_000);
        Done {
            worker: "web1:7:1800000000".into(),
            tally: Tally {
                total: ChannelTally { sent: 3, deferred: 2, expired: 1, ..ChannelTally::default() },
                expired_waiting: 4,
                ended_at,
                ..Tally::default()
            },
            left: Left { pending: 2, oldest_due_at: None, next_due_at: Some(Timestamp(ended_at.0 + 29_000)) },
        }
    }

    #[test]
    fn the_line_names_what_happened_and_when_the_next_one_is_due() {
        assert_eq!(line(&done()), "3 sent, 2 deferred, 5 expired, 2 left; the next one is due in 29 s");
    }

    #[test]
    fn the_json_counts_what_expired_while_it_waited() {
        let json = serde_json::to_value(shape(&done())).unwrap();
        assert_eq!((&json["sent"], &json["expired"], &json["left"]), (&3.into(), &5.into(), &2.into()));
        assert_eq!(json["next_due_at"], "2027-01-15T08:00:29.000Z");
        assert!(json["oldest_due_at"].is_null());
    }
}
