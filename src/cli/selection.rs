//! Which notifications are meant: the filters of listings, and for steering also ids and ids on standard input.

use std::collections::HashSet;
use std::io::BufRead;
use std::str::FromStr;

use chrono::Local;
use clap::builder::{PossibleValuesParser, TypedValueParser};

use super::{Context, Error, Exit, output};
use crate::model::{Id, Status, Timestamp};
use crate::store::{Filter, Reader};
use crate::units;

/// Under which help shows them.
const FILTERS: &str = "Filters";

/// The conditions that a listing or a selection takes; all hold at once.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct FilterArgs {
    /// In this status; may be given several times
    #[arg(long = "status", value_name = "STATUS", value_parser = status_parser(&Status::ALL), help_heading = FILTERS)]
    pub statuses: Vec<Status>,
    /// On this channel
    #[arg(long, value_name = "NAME", help_heading = FILTERS)]
    pub channel: Option<String>,
    /// Of this batch
    #[arg(long, value_name = "ID", value_parser = clap::value_parser!(Id).range(1..), help_heading = FILTERS)]
    pub batch: Option<Id>,
    /// For this user
    #[arg(long, value_name = "ID", help_heading = FILTERS)]
    pub user: Option<String>,
    /// To exactly this recipient
    #[arg(long, value_name = "RECIPIENT", help_heading = FILTERS)]
    pub to: Option<String>,
    /// Enqueued at or after: a duration ago (`2h`) or a time (`18:00`, `2026-11-20`)
    #[arg(long, value_name = "WHEN", help_heading = FILTERS)]
    pub since: Option<String>,
    /// Enqueued before: a duration ago or a time
    #[arg(long, value_name = "WHEN", help_heading = FILTERS)]
    pub until: Option<String>,
    /// Pending, with at least one retry used up
    #[arg(long, help_heading = FILTERS)]
    pub retrying: bool,
}

/// One of these statuses by its word; help, errors and completions name them.
pub fn status_parser(statuses: &[Status]) -> impl TypedValueParser<Value = Status> {
    PossibleValuesParser::new(statuses.iter().map(|status| status.as_str()))
        .try_map(|word| word.parse::<Status>())
}

impl FilterArgs {
    /// Whether any condition is given.
    pub fn any(&self) -> bool {
        let Self { statuses, channel, batch, user, to, since, until, retrying } = self;
        let words = [channel, user, to, since, until];
        *retrying || !statuses.is_empty() || batch.is_some() || words.into_iter().any(Option::is_some)
    }

    /// What they mean at `now`.
    ///
    /// # Errors
    /// When a time is none.
    pub fn filter(self, now: Timestamp) -> Result<Filter, Error> {
        let when = |flag: &str, text: &Option<String>| match text {
            None => Ok(None),
            Some(text) => {
                past(text, now).map(Some).map_err(|what| Error::new(Exit::Usage, format!("{flag}: {what}")))
            }
        };
        Ok(Filter {
            statuses: self.statuses,
            channel: self.channel,
            batch_id: self.batch,
            user_id: self.user,
            recipient: self.to,
            since: when("--since", &self.since)?,
            until: when("--until", &self.until)?,
            retrying: self.retrying,
        })
    }
}

/// An instant that is over, on the clock of this place.
pub fn past(text: &str, now: Timestamp) -> Result<Timestamp, String> {
    units::past(text, now, &Local)
}

/// What a filter that matched nothing names wrongly: a batch or a channel that there is not.
///
/// # Errors
/// When the batch does not exist.
pub fn explain_empty(context: &mut Context, reader: &dyn Reader, filter: &Filter) -> Result<(), Error> {
    if let Some(id) = filter.batch_id {
        super::status::batch(reader, id)?;
    }
    if let Some(name) = &filter.channel {
        let mut known: HashSet<String> = reader.counts()?.channels.into_keys().collect();
        known.extend(context.config()?.channels.keys().cloned());
        if !known.contains(name) {
            output::say(unknown_channel(name, known.iter().map(String::as_str)));
        }
    }
    Ok(())
}

/// A name that no channel has, and the one that may have been meant.
pub fn unknown_channel<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> String {
    let near = crate::wire::nearest(name, known);
    let meant = near.map(|known| format!("; did you mean `{known}`?")).unwrap_or_default();
    format!("there is no channel `{}`{meant}", super::face::one_line(name))
}

/// What a steering verb applies to.
#[derive(Debug, clap::Args)]
pub struct SelectionArgs {
    /// These; `-` reads ids from standard input, one a line
    #[arg(value_name = "ID|-")]
    ids: Vec<IdOrInput>,
    #[command(flatten)]
    pub filter: FilterArgs,
    /// All to which the verb applies
    #[arg(long, help_heading = FILTERS)]
    all: bool,
    /// Change nothing; print what would change
    #[arg(long)]
    pub dry_run: bool,
    /// Write JSON, one object a line
    #[arg(long)]
    pub json: bool,
}

/// What is meant, as the command line says it.
pub enum Which {
    /// Exactly these, each once.
    Ids(Vec<Id>),
    /// All that match.
    Matching(Filter),
}

impl SelectionArgs {
    /// What is meant at `now`; reads standard input to its end before anything is done.
    ///
    /// # Errors
    /// When nothing is named, or both ids and filters are, or the input holds something else than ids.
    pub fn which(self, now: Timestamp) -> Result<Which, Error> {
        let filters = self.filter.any() || self.all;
        if self.ids.is_empty() != filters {
            let message =
                if filters { "ids and filters exclude each other" } else { "name what it applies to" };
            return Err(Error::new(Exit::Usage, message).hint(
                "give ids, or `-` for ids on standard input, or filters like --channel NAME, or --all",
            ));
        }
        if filters {
            return Ok(Which::Matching(self.filter.filter(now)?));
        }
        let mut ids = Vec::new();
        for named in self.ids {
            match named {
                IdOrInput::Id(id) => ids.push(id),
                IdOrInput::Input => read_ids(std::io::stdin().lock(), &mut ids)?,
            }
        }
        let mut seen = HashSet::new();
        ids.retain(|id| seen.insert(*id));
        Ok(Which::Ids(ids))
    }
}

/// An id, or `-` for standard input.
#[derive(Debug, Clone, PartialEq, Eq)]
enum IdOrInput {
    Id(Id),
    Input,
}

impl FromStr for IdOrInput {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == "-" {
            return Ok(Self::Input);
        }
        id(text)
            .map(Self::Id)
            .ok_or_else(|| "an id is a positive number; `-` reads ids from standard input".into())
    }
}

fn id(text: &str) -> Option<Id> {
    text.parse().ok().filter(|id| *id > 0)
}

/// One id a line, as `enqueue` prints them; blank lines are passed over.
fn read_ids(input: impl BufRead, ids: &mut Vec<Id>) -> Result<(), Error> {
    for (number, line) in input.split(b'\n').enumerate() {
        let line = line.map_err(|error| Error::new(Exit::IoErr, format!("read standard input: {error}")))?;
        let text = String::from_utf8_lossy(&line);
        match (text.trim(), id(text.trim())) {
            ("", _) => {}
            (_, Some(id)) => ids.push(id),
            (_, None) => {
                return Err(Error::new(
                    Exit::DataErr,
                    format!("standard input, line {}: not an id", number + 1),
                )
                .hint(
                    "one positive number a line, as `notifyctl enqueue` prints them; nothing was changed",
                ));
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: i64 = 86_400_000;

    #[test]
    fn times_of_a_filter_lie_in_the_past() {
        let now = Timestamp(1_700_000_000_000);
        assert_eq!(past("2h", now), Ok(Timestamp(now.0 - 7_200_000)));
        assert_eq!(past("2023-11-14T00:00:00Z", now), Ok(Timestamp(1_699_920_000_000)));
        for clock in ["00:00", "12:00", "23:59"] {
            let at = past(clock, now).expect(clock);
            assert!(at <= now && at.0 > now.0 - DAY - 3_600_000, "{clock}: {at:?}");
        }
        let monday = past("mon 09:00", now).expect("a weekday");
        assert!(monday <= now && monday.0 > now.0 - 8 * DAY);
        // The fourteenth was a Tuesday.
        let day = past("mon", now).expect("a weekday alone");
        assert!(day <= now && day.0 > now.0 - 3 * DAY, "{day:?}");
        assert!(past("2023-11-13", now).is_ok_and(|at| at < now));
        // Nobody who writes these means yesterday.
        for ahead in ["+2h", "+1ms", "tomorrow 09:00", "Tomorrow 00:00", "tomorrow"] {
            assert_eq!(past(ahead, now), Err(format!("`{ahead}` is in the future")));
        }
        assert_eq!(past("2099-01-01", now), Err("`2099-01-01` is in the future".into()));
        assert!(past("soon", now).is_err());
        // A variable that is not set must not select what was enqueued today.
        for nothing in ["", " "] {
            assert!(
                past(nothing, now).is_err_and(|why| why.starts_with("is empty; write `2h`")),
                "{nothing:?}"
            );
        }
        for (text, why) in [
            ("1000000d", "`1000000d` is longer than a hundred years"),
            ("today", "`today` is not a time that is over; write `2h` or `30d` (so long ago), "),
            ("30", "`30` is not a time that is over; write `2h`"),
            ("2026-11-20T10:00", "`2026-11-20T10:00` names no zone"),
        ] {
            assert!(past(text, now).is_err_and(|said| said.starts_with(why)), "{text} {:?}", past(text, now));
        }
    }

    #[test]
    fn ids_are_read_one_a_line_and_a_bad_line_is_named() {
        let mut ids = Vec::new();
        read_ids(&b"1\r\n\n 22 \n"[..], &mut ids).expect("ids");
        assert_eq!(ids, [1, 22]);
        for bad in ["1\nx\n", "1\n0\n", "1\n-4\n", "1\n1 2\n"] {
            let error = read_ids(bad.as_bytes(), &mut Vec::new()).expect_err(bad);
            assert_eq!(error.to_string(), "standard input, line 2: not an id");
        }
    }

    #[test]
    fn a_near_miss_of_a_channel_is_suggested() {
        let known = ["outbox", "ops-smtp"];
        assert_eq!(
            unknown_channel("outbx", known.into_iter()),
            "there is no channel `outbx`; did you mean `outbox`?"
        );
        assert_eq!(unknown_channel("pagerduty", known.into_iter()), "there is no channel `pagerduty`");
    }
}
