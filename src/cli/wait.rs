//! `notifyctl wait`: Wait until notifications are settled.

use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

use super::face::{Face, count};
use super::output::say;
use super::{Context, Error, Exit, standing, status};
use crate::model::{Id, Status};
use crate::store::{Access, Reader};
use crate::{units, wire};

/// Wait until notifications are settled
///
/// Ends when each is sent, dead, expired or cancelled, and prints where each stands (or the batch).
#[derive(Debug, clap::Args)]
#[command(after_help = "Exit codes: 0 when all were sent; 1 when all are settled, but not all were sent; \
    66 when an id or the batch does not exist; 75 when the time is over.")]
#[command(group = clap::ArgGroup::new("what").required(true))]
pub struct WaitArgs {
    /// Which notifications
    #[arg(value_name = "ID", group = "what", value_parser = clap::value_parser!(Id).range(1..))]
    ids: Vec<Id>,
    /// A whole batch
    #[arg(long, value_name = "ID", group = "what", value_parser = clap::value_parser!(Id).range(1..))]
    batch: Option<Id>,
    /// Wait no longer than this [default: for ever]
    #[arg(long, value_name = "DURATION", value_parser = units::duration)]
    timeout: Option<Duration>,
    /// Write JSON, one object a line
    #[arg(long)]
    json: bool,
}

/// The shortest and the longest time between two looks; it doubles while nothing changes.
const LOOKS: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(1));

/// Waiting for longer than this, with nothing under way, deserves a word.
const PATIENCE: Duration = Duration::from_secs(5);

/// Runs it.
pub fn run(context: &mut Context, args: WaitArgs) -> Result<Exit, Error> {
    let store = context.store(Access::Read)?;
    let mut watched = match args.batch {
        Some(id) => Watched::Batch(status::batch(&*store, id)?),
        None => Watched::Ids(find(&*store, args.ids)?),
    };
    let in_time = watch(&*store, &mut watched, args.timeout)?;
    let face = context.out.face(context.now());
    report(context, &*store, &watched, args.json, &face)?;
    let progress = watched.progress();
    if !in_time {
        let (open, of) = (count(progress.of - progress.settled), count(progress.of));
        return Err(Error::new(
            Exit::TempFail,
            format!("the time is over, and {open} of {of} are not settled"),
        )
        .hint("`notifyctl why ID` says what stands in the way of one"));
    }
    Ok(if progress.sent == progress.of { Exit::Ok } else { Exit::Negative })
}

/// What is waited for, as it was seen last.
enum Watched {
    Ids(Vec<(Id, Seen)>),
    Batch(wire::Batch),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Seen {
    At(Status),
    /// It was there and has been purged since; only what is settled is ever purged.
    Purged,
}

impl Seen {
    fn is_settled(self) -> bool {
        match self {
            Self::At(status) => status.is_final(),
            Self::Purged => true,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Progress {
    of: u64,
    settled: u64,
    sent: u64,
}

impl Watched {
    fn progress(&self) -> Progress {
        match self {
            Self::Ids(ids) => Progress {
                of: ids.len() as u64,
                settled: ids.iter().filter(|(_, seen)| seen.is_settled()).count() as u64,
                sent: ids.iter().filter(|(_, seen)| *seen == Seen::At(Status::Sent)).count() as u64,
            },
            Self::Batch(batch) => Progress {
                of: batch.accepted,
                settled: batch.counts.settled() + batch.purged,
                sent: batch.counts.of(Status::Sent),
            },
        }
    }

    /// Looks again at what is not settled.
    fn look(&mut self, reader: &dyn Reader) -> Result<(), Error> {
        match self {
            Self::Ids(ids) => {
                for (id, seen) in ids.iter_mut().filter(|(_, seen)| !seen.is_settled()) {
                    *seen = standing::summary(reader, *id)?.map_or(Seen::Purged, |row| Seen::At(row.status));
                }
            }
            Self::Batch(batch) => *batch = status::batch(reader, batch.id)?,
        }
        Ok(())
    }
}

fn find(reader: &dyn Reader, ids: Vec<Id>) -> Result<Vec<(Id, Seen)>, Error> {
    let mut found = Vec::with_capacity(ids.len());
    let mut missing = Vec::new();
    for id in ids {
        match standing::summary(reader, id)? {
            Some(row) => found.push((id, Seen::At(row.status))),
            None => missing.push(id),
        }
    }
    standing::all_known(&missing).map(|_| found)
}

/// Looks until all is settled; false when the time is over before.
fn watch(reader: &dyn Reader, watched: &mut Watched, timeout: Option<Duration>) -> Result<bool, Error> {
    let begun = Instant::now();
    let mut progress = watched.progress();
    let bar = bar(progress.of);
    let mut pause = LOOKS.0;
    let mut told = false;
    while progress.settled < progress.of {
        bar.set_position(progress.settled);
        let left = timeout.map(|limit| limit.saturating_sub(begun.elapsed()));
        if left == Some(Duration::ZERO) {
            bar.finish_and_clear();
            return Ok(false);
        }
        std::thread::sleep(left.map_or(pause, |left| left.min(pause)));
        watched.look(reader)?;
        let seen = watched.progress();
        pause = if seen == progress { (pause * 2).min(LOOKS.1) } else { LOOKS.0 };
        progress = seen;
        if !told && begun.elapsed() > PATIENCE {
            told = true;
            if let Some(word) = nobody_sends(reader)? {
                bar.suspend(|| say(word));
            }
        }
    }
    bar.finish_and_clear();
    Ok(true)
}

/// A word for whoever waits for a pass that nobody runs.
fn nobody_sends(reader: &dyn Reader) -> Result<Option<&'static str>, Error> {
    let sending = reader.counts()?.of(Status::Sending);
    Ok((sending == 0).then_some("nothing is being sent at the moment; `notifyctl send-pending` runs a pass"))
}

/// On a terminal alone; indicatif writes nothing elsewhere.
fn bar(of: u64) -> ProgressBar {
    let style = ProgressStyle::with_template("{bar:40} {human_pos} of {human_len} settled, {elapsed}")
        .unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::new(of).with_style(style.progress_chars("█▓░"))
}

fn report(
    context: &mut Context,
    reader: &dyn Reader,
    watched: &Watched,
    json: bool,
    face: &Face,
) -> Result<(), Error> {
    let ids = match watched {
        Watched::Batch(batch) => return status::show_batch(context, batch, json, face),
        Watched::Ids(ids) => ids,
    };
    for (id, _) in ids {
        let Some(row) = standing::summary(reader, *id)? else {
            say(format_args!("{id} has been purged"));
            continue;
        };
        status::show_standing(context, &standing::of(reader, &row, face)?, json, face)?;
    }
    Ok(())
}
