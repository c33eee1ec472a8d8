//! What `cancel`, `hold`, `release` and `requeue` share: one way from a selection to what changed.
//!
//! Exit codes: 0 when something changed, stands there already, or nothing matched; 66 when an id does not
//! exist; 1 when every one of the ids was refused.

use std::collections::HashSet;

use super::face::{count, notifications};
use super::output::say;
use super::selection::{SelectionArgs, Which, explain_empty};
use super::{Context, Error, Exit, standing};
use crate::model::{Id, Status, Timestamp};
use crate::store::{self, Access, Changed, ErrorKind, Filter, Order, Page, Selection, Space, Store};
use crate::wire::{Fate, Steered};

/// A steering verb.
#[derive(Debug, Clone, Copy)]
pub struct Verb {
    /// What was done: `cancelled`.
    pub done: &'static str,
    /// From which statuses it applies.
    pub from: &'static [Status],
    /// Where it leads.
    pub to: Status,
    /// The one call.
    pub call: fn(&mut dyn Store, Timestamp, &Selection) -> store::Result<Changed>,
}

/// How they end, as their help says it.
pub const EXIT_CODES: &str = "Exit codes: 0 when something changed, stood there already, or nothing matched; \
    1 when every id was refused; 66 when an id does not exist.";

/// How many notifications change in one transaction.
const BITE: usize = 1_000;

/// How many where the disk is short of room; fewer if even they find none.
const FEW: usize = 16;

/// Runs a verb.
pub fn run(context: &mut Context, args: SelectionArgs, verb: &Verb) -> Result<Exit, Error> {
    let now = context.now();
    let (dry_run, json) = (args.dry_run, args.json);
    let which = args.which(now)?;
    let mut store = context.store(if dry_run { Access::Read } else { Access::Existing })?;
    let mut steering = Steering {
        context,
        verb,
        dry_run,
        json,
        changed: 0,
        unchanged: 0,
        refused: 0,
        missing: Vec::new(),
        unsaid: None,
    };
    match which {
        Which::Ids(ids) if dry_run => {
            for id in ids {
                let status = standing::summary(&*store, id)?.map(|row| row.status);
                steering.would(id, status)?;
            }
        }
        Which::Ids(ids) => {
            let (mut left, mut size) = (&ids[..], bite(&*store)?);
            while !left.is_empty() {
                let (some, rest) = left.split_at(size.min(left.len()));
                match (verb.call)(&mut *store, now, &Selection::Ids(some.to_vec())) {
                    Err(full) if full.kind == ErrorKind::Full && size > 1 => size /= 2,
                    changed => {
                        steering.report(&changed?)?;
                        left = rest;
                    }
                }
            }
        }
        Which::Matching(filter) => {
            let Some(filter) = applicable(filter, verb, now) else {
                say(format_args!("what has one of these statuses cannot be {}", verb.done));
                return Ok(Exit::Ok);
            };
            match dry_run {
                true => list_matching(&*store, &filter, &mut steering)?,
                false => change_matching(&mut *store, now, &filter, &mut steering)?,
            }
            if steering.changed == 0 {
                explain_empty(steering.context, &*store, &filter)?;
            }
        }
    }
    steering.finish()
}

/// The filter, with only those statuses to which the verb applies, and nothing that is enqueued from now on;
/// `None` when no status is left.
fn applicable(mut filter: Filter, verb: &Verb, now: Timestamp) -> Option<Filter> {
    let asked = std::mem::take(&mut filter.statuses);
    let wanted = |status: &Status| asked.is_empty() || asked.contains(status);
    filter.statuses = verb.from.iter().copied().filter(wanted).collect();
    let end = Timestamp(now.0.saturating_add(1));
    filter.until = Some(filter.until.map_or(end, |until| until.min(end)));
    (!filter.statuses.is_empty()).then_some(filter)
}

fn list_matching(store: &dyn Store, filter: &Filter, steering: &mut Steering<'_>) -> Result<(), Error> {
    let mut page = Page { order: Order::OldestFirst, after: None, limit: BITE };
    loop {
        let rows = store.list(filter, &page)?;
        for row in &rows {
            steering.would(row.id, Some(row.status))?;
        }
        match rows.last() {
            Some(last) if rows.len() == BITE => page.after = Some(last.id),
            _ => return Ok(()),
        }
    }
}

fn change_matching(
    store: &mut dyn Store,
    now: Timestamp,
    filter: &Filter,
    steering: &mut Steering<'_>,
) -> Result<(), Error> {
    // What a worker brings back meanwhile (requeued, and dead again) is not changed a second time.
    let (mut seen, mut size) = (HashSet::new(), bite(store)?);
    loop {
        let which = Selection::Matching { filter: filter.clone(), limit: size };
        let mut bite = match (steering.verb.call)(store, now, &which) {
            Err(full) if full.kind == ErrorKind::Full && size > 1 => {
                size /= 2;
                continue;
            }
            bite => bite?,
        };
        let full = bite.changed.len() >= size;
        bite.changed.retain(|id| seen.insert(*id));
        steering.report(&bite)?;
        if !full || bite.changed.is_empty() {
            return Ok(());
        }
    }
}

/// How many are changed at once to begin with.
fn bite(store: &dyn Store) -> Result<usize, Error> {
    Ok(if store.space()?.free < Space::SHORT { FEW } else { BITE })
}

/// What has been done so far, and where it is told.
struct Steering<'a> {
    context: &'a mut Context,
    verb: &'a Verb,
    dry_run: bool,
    json: bool,
    changed: u64,
    unchanged: u64,
    refused: u64,
    missing: Vec<Id>,
    /// Why nothing more is written to standard output. What was asked for is done all the same, all of it: half a
    /// selection is what nobody asked for.
    unsaid: Option<Error>,
}

impl Steering<'_> {
    fn would(&mut self, id: Id, status: Option<Status>) -> Result<(), Error> {
        match status {
            Some(status) if self.verb.from.contains(&status) => {
                self.tell(id, Fate::WouldChange, Some(self.verb.to))
            }
            Some(status) => self.refuse(id, status),
            None => self.miss(id),
        }
    }

    fn report(&mut self, bite: &Changed) -> Result<(), Error> {
        bite.changed.iter().try_for_each(|id| self.tell(*id, Fate::Changed, Some(self.verb.to)))?;
        bite.refused.iter().try_for_each(|(id, status)| self.refuse(*id, *status))?;
        bite.missing.iter().try_for_each(|id| self.miss(*id))
    }

    fn refuse(&mut self, id: Id, status: Status) -> Result<(), Error> {
        if status == self.verb.to {
            say(format_args!("{id} is {status} already"));
            return self.tell(id, Fate::Unchanged, Some(status));
        }
        say(format_args!("{id} is {status} and cannot be {}{}", self.verb.done, instead(self.verb, status)));
        self.tell(id, Fate::Refused, Some(status))
    }

    fn miss(&mut self, id: Id) -> Result<(), Error> {
        self.missing.push(id);
        self.tell(id, Fate::Missing, None)
    }

    fn tell(&mut self, id: Id, result: Fate, status: Option<Status>) -> Result<(), Error> {
        let changed = matches!(result, Fate::Changed | Fate::WouldChange);
        match result {
            Fate::Changed | Fate::WouldChange => self.changed += 1,
            Fate::Unchanged => self.unchanged += 1,
            Fate::Refused => self.refused += 1,
            Fate::Missing => {}
        }
        if self.unsaid.is_some() {
            return Ok(());
        }
        let said = match (self.json, changed) {
            (true, _) => self.context.out.json(&Steered { id, result, status }),
            (false, true) => self.context.out.line(id),
            (false, false) => Ok(()),
        };
        match said {
            Err(error) if !self.dry_run => {
                self.unsaid = Some(error);
                Ok(())
            }
            said => said,
        }
    }

    fn finish(self) -> Result<Exit, Error> {
        let would = if self.dry_run { "would be " } else { "" };
        let mut tally = match self.changed {
            0 => format!("nothing {would}{}", self.verb.done),
            n => format!("{} {would}{}", notifications(n), self.verb.done),
        };
        for (n, word) in [
            (self.unchanged, "already so"),
            (self.refused, "refused"),
            (self.missing.len() as u64, "unknown"),
        ] {
            if n > 0 {
                tally.push_str(&format!(", {} {word}", count(n)));
            }
        }
        say(tally);
        standing::all_known(&self.missing)?;
        if let Some(error) = self.unsaid {
            return Err(error);
        }
        Ok(match self.refused > 0 && self.changed + self.unchanged == 0 {
            true => Exit::Negative,
            false => Exit::Ok,
        })
    }
}

/// The verb that was probably meant.
fn instead(verb: &Verb, status: Status) -> &'static str {
    match (verb.to, status) {
        (Status::Pending, Status::Held) => "; `notifyctl release` lets it go",
        (Status::Pending, Status::Dead | Status::Expired | Status::Cancelled) => {
            "; `notifyctl requeue` starts it again"
        }
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::{cancel, hold, release, requeue};

    #[test]
    fn each_verb_makes_only_legal_steps() {
        for verb in [&cancel::VERB, &hold::VERB, &release::VERB, &requeue::VERB] {
            for from in verb.from {
                assert!(from.may_become(verb.to), "{} from {from}", verb.done);
            }
        }
    }

    #[test]
    fn a_filter_is_narrowed_to_where_the_verb_applies() {
        let now = Timestamp(1_000);
        let of = |statuses: &[Status]| Filter { statuses: statuses.to_vec(), ..Filter::default() };
        let cancel = &cancel::VERB;
        let all = applicable(of(&[]), cancel, now).expect("some");
        assert_eq!(all.statuses, [Status::Pending, Status::Held]);
        assert_eq!(all.until, Some(Timestamp(1_001)));
        let held = applicable(of(&[Status::Held, Status::Sent]), cancel, now).expect("some");
        assert_eq!(held.statuses, [Status::Held]);
        assert!(applicable(of(&[Status::Sent]), cancel, now).is_none());
    }
}
