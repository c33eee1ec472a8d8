//! The first pass: is every row right? Reports those that are not, up to a stated count. Rows are read ahead by a thread
//! of its own.

use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::{Builder, scope};

use super::desk::Desk;
use super::feed::{AHEAD, BYTES, ROWS, no_thread};
use super::input::Input;
use super::progress::Progress;
use super::rows::Line;
use crate::cli::enqueue::args::EnqueueArgs;
use crate::cli::enqueue::problems::Clean;
use crate::cli::output::say;
use crate::cli::{Error, Exit};
use crate::model::Problem;

/// What a pass over the rows came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tally {
    /// Rows, the wrong ones included.
    pub rows: u64,
    /// Rows that are wrong.
    pub wrong: u64,
    /// Bytes read.
    pub bytes: u64,
}

/// Rows that were read, and how many bytes with them.
struct Portion {
    lines: Vec<Line>,
    bytes: u64,
}

/// Reads the whole input.
///
/// # Errors
/// 65 when there is no row to be enqueued, or a wrong one that may not be left out.
pub fn check(desk: &mut Desk<'_>, input: &mut Input, args: &EnqueueArgs) -> Result<Tally, Error> {
    let name = input.name().to_owned();
    let mut tally = Tally::default();
    // Kept until the bar is gone; their number is limited.
    let mut reports = Vec::new();
    let mut progress = Progress::start("checking", input.size());
    let read = scope(|scope| {
        let (give, portions) = sync_channel(AHEAD);
        let reader = Builder::new().name("rows".into()).spawn_scoped(scope, move || read(input, &give));
        let reader = reader.map_err(|error| no_thread(&error))?;
        for Portion { lines, bytes } in portions {
            for line in lines {
                tally.rows += 1;
                progress.row(bytes);
                if let Err(problems) = desk.accept(line.row)? {
                    tally.wrong += 1;
                    if tally.wrong <= args.max_errors {
                        reports.extend(problems.iter().map(|problem| report(&name, line.number, problem)));
                    }
                }
            }
        }
        reader.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    });
    tally.bytes = read?;
    progress.end();
    reports.iter().for_each(say);
    if tally.wrong > args.max_errors {
        say(format_args!("… and {} more", tally.wrong - args.max_errors));
    }
    verdict(&name, tally, args)
}

/// Hands over all rows of `input`, and says how many bytes they are.
fn read(input: &mut Input, give: &SyncSender<Portion>) -> Result<u64, Error> {
    let name = input.name().to_owned();
    let mut rows = input.first()?;
    let (mut lines, mut bytes) = (Vec::with_capacity(ROWS), 0);
    while let Some(line) = rows.next().map_err(|error| error.of(&name))? {
        lines.push(line);
        if lines.len() == ROWS || rows.bytes() - bytes >= BYTES as u64 {
            bytes = rows.bytes();
            let full = std::mem::replace(&mut lines, Vec::with_capacity(ROWS));
            if give.send(Portion { lines: full, bytes }).is_err() {
                // The desk has given up, and says why.
                return Ok(bytes);
            }
        }
    }
    let bytes = rows.bytes();
    let _ = give.send(Portion { lines, bytes });
    Ok(bytes)
}

/// `people.csv:17: to: is missing`, as compilers say it.
pub fn report(name: &str, line: u64, problem: &Problem) -> String {
    format!("{name}:{line}: {}", Clean(&problem.to_string()))
}

fn verdict(name: &str, tally: Tally, args: &EnqueueArgs) -> Result<Tally, Error> {
    if tally.rows == 0 {
        return Err(Error::new(Exit::DataErr, format!("{name}: holds no rows; nothing was enqueued")));
    }
    if tally.wrong == tally.rows && args.skip_invalid {
        return Err(Error::new(Exit::DataErr, format!("{name}: no row is right; nothing was enqueued")));
    }
    if tally.wrong > 0 && !args.skip_invalid {
        let Tally { rows, wrong, .. } = tally;
        let message = format!("{name}: {wrong} of {rows} rows are wrong; nothing was enqueued");
        return Err(Error::new(Exit::DataErr, message)
            .hint("correct them, or enqueue the others with --skip-invalid"));
    }
    Ok(tally)
}
