//! notifyctl beside its peers: each run in pairs with it, in turn, in one go, and the table that the README shows.
//!
//! `tests/bench/compare` installs the peers and calls this. Names select works (`command`, `bulk`, `work`, `drain`, `ingest`) or
//! peers (`postfix`); `--quick` runs fewer pairs. A peer that cannot be had stays in the table, with the reason. What
//! is particular to a peer lies in one driver or server of its own.

#![expect(clippy::print_stderr, reason = "minutes pass before there is a table")]

mod bulk;
mod command;
mod drain;
mod drivers;
mod ingest;
mod nullmailer;
mod packages;
mod postfix;
mod servers;
mod table;
mod work;

use std::process::ExitCode;

use crate::measure::{Budget, median};
use packages::Packages;
use table::{Line, Outcome, Unit};

/// What went wrong, for the table.
type Failure = String;
type Attempt<T> = Result<T, Failure>;

/// A peer in one work.
struct Peer {
    /// As the table names it.
    name: &'static str,
    /// What it is made of, by the names that `tests/bench/compare` writes; the first is the word that selects it.
    packages: &'static [&'static str],
    /// Its configuration, and how durable that is.
    how: &'static str,
    budget: Option<Budget>,
    /// How many pairs, when not `--quick`.
    pairs: usize,
}

/// What the command line chose, and what it found installed.
struct Choice {
    names: Vec<String>,
    quick: bool,
    packages: Packages,
}

/// One work, its peers so far.
struct Work<'a> {
    name: &'static str,
    title: &'static str,
    unit: Unit,
    choice: &'a Choice,
    lines: Vec<Line>,
}

impl Work<'_> {
    fn wants(&self, peer: &Peer) -> bool {
        let names = &self.choice.names;
        names.is_empty() || names.iter().any(|name| name == self.name || name == peer.packages[0])
    }

    /// Measures a peer against notifyctl. `start` makes it ready; what it hands back is called once a pair, and
    /// answers in the work's unit, as `ours` does.
    fn against<T>(
        &mut self,
        peer: Peer,
        ours: &mut impl FnMut() -> Attempt<f64>,
        start: impl FnOnce() -> Attempt<T>,
    ) where
        T: FnMut() -> Attempt<f64>,
    {
        if !self.wants(&peer) {
            return;
        }
        eprintln!("{}: {} …", self.name, peer.name);
        let pairs = if self.choice.quick { peer.pairs.div_ceil(5) } else { peer.pairs };
        let outcome = self.choice.packages.versions(peer.packages).and_then(|version| {
            let mut theirs = start()?;
            let (ours, theirs, ratio) = in_turn(pairs, ours, &mut theirs)?;
            Ok(Outcome { version, ours, theirs, ratio })
        });
        if let Err(why) = &outcome {
            eprintln!("{}: {} is missing: {why}", self.name, peer.name);
        }
        self.lines.push(Line { name: peer.name, how: peer.how, budget: peer.budget, outcome });
    }
}

/// The medians of both, and of the ratios ours/theirs of pairs run in turn.
fn in_turn(
    pairs: usize,
    ours: &mut impl FnMut() -> Attempt<f64>,
    theirs: &mut impl FnMut() -> Attempt<f64>,
) -> Attempt<(f64, f64, f64)> {
    let (mut all_ours, mut all_theirs, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    for turn in 0..pairs {
        // Whoever comes second finds a warm disk: they take turns at that too.
        let (one, other) = if turn % 2 == 0 {
            let one = ours()?;
            (one, theirs()?)
        } else {
            let other = theirs()?;
            (ours()?, other)
        };
        all_ours.push(one);
        all_theirs.push(other);
        ratios.push(one / other);
    }
    Ok((median(&mut all_ours), median(&mut all_theirs), median(&mut ratios)))
}

/// Runs what `args` choose, prints the table, and writes it into the README when it is whole.
///
/// Exit code 1: a budget is missed, or a peer; 2: it could not begin.
pub fn main(args: &[String]) -> ExitCode {
    let (options, names): (Vec<_>, Vec<_>) = args.iter().cloned().partition(|arg| arg.starts_with('-'));
    let known = ["command", "bulk", "work", "drain", "ingest"];
    let choice = match Packages::read() {
        Ok(packages) => Choice { names, quick: options.iter().any(|option| option == "--quick"), packages },
        Err(why) => {
            eprintln!("compare: {why}");
            return ExitCode::from(2);
        }
    };
    let strange_option = options.iter().find(|option| *option != "--quick");
    let strange_name =
        choice.names.iter().find(|name| !known.contains(&name.as_str()) && !choice.packages.knows(name));
    if let Some(strange) = strange_option.or(strange_name) {
        eprintln!("compare: no such work, peer or option: {strange}");
        return ExitCode::from(2);
    }
    let mut works = Vec::new();
    let runs = [
        command::run,
        bulk::run,
        work::run,
        drain::run,
        ingest::rates,
        ingest::latencies,
        ingest::steady,
        ingest::crowds,
    ];
    for run in runs {
        let work = run(&choice);
        if !work.lines.is_empty() {
            println!("\n{}\n{}", work.title, table::text(&work));
            works.push(work);
        }
    }
    if choice.names.is_empty() && !choice.quick {
        table::write_readme(&works, &choice.packages);
    }
    let kept = works.iter().flat_map(|work| &work.lines).all(Line::kept);
    ExitCode::from(u8::from(!kept))
}
