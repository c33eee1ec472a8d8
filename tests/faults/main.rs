//! The fault bench: notifyctl under kills, power cuts, failing disks, wrong clocks and hostile peers, and what was lost.
//!
//! `cargo test --test faults` runs each scenario in its short form, which is part of every test run; `tests/faults/run`
//! runs them whole, on a release build. Either takes names of scenarios (`-- kill_storm`) and `--seed`. Every figure is
//! printed beside its bound; a bound that is not kept ends with exit code 1.
//!
//! A scenario can only harm what it made itself: see [`ground`].

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a bench has nothing else to say it on")]

mod clock;
mod crowd;
mod disk_full;
mod finding;
mod folder;
mod ground;
mod io_calls;
mod kill_storm;
mod peers;
mod power;
mod receiver;
#[allow(dead_code, reason = "each test binary uses its part")]
#[path = "../support/mod.rs"]
mod support;

use std::process::ExitCode;
use std::time::Instant;

use clap::Parser;

use finding::{Finding, Report};
use ground::{Extent, Ground};

/// A scenario: what it does to notifyctl on its ground, and what it found.
type Scenario = fn(&Ground) -> Vec<Finding>;

const SCENARIOS: &[(&str, Scenario)] = &[
    ("ground", ground::scenario),
    ("clock", clock::scenario),
    ("peers", peers::scenario),
    ("power", power::scenario),
    ("io_calls", io_calls::scenario),
    ("disk_full", disk_full::scenario),
    ("kill_storm", kill_storm::scenario),
    ("crowd", crowd::scenario),
];

/// What the bench can be asked for.
#[derive(Parser)]
#[command(name = "faults", about = "Breaks what notifyctl stands on, and counts what is lost")]
struct Args {
    /// Run only the scenarios whose names contain one of these
    names: Vec<String>,
    /// Thousands of faults instead of a few dozen of each
    #[arg(long)]
    whole: bool,
    /// Draw the same random numbers as the run that printed this seed
    #[arg(long)]
    seed: Option<u64>,
    /// Say what there is, and run nothing
    #[arg(long)]
    list: bool,
    /// Be the writer that a control records: how it syncs, and its database
    #[arg(long, hide = true, num_args = 2)]
    writer: Option<Vec<String>>,
    // `cargo test -- --nocapture` reaches every test binary.
    #[arg(long, hide = true)]
    nocapture: bool,
}

fn main() -> ExitCode {
    let args = Args::parse();
    if args.list {
        for (name, _) in SCENARIOS {
            println!("{name}");
        }
        return ExitCode::SUCCESS;
    }
    if let Some([synchronous, path]) = args.writer.as_deref() {
        return match power::writer::write(synchronous, path.as_ref()) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                eprintln!("faults: {error}");
                ExitCode::FAILURE
            }
        };
    }
    if let Err(why) = ground::refuse_inherited(std::env::vars_os()) {
        eprintln!("faults: {why}");
        return ExitCode::from(64);
    }
    let extent = if args.whole { Extent::Whole } else { Extent::Short };
    let seed = args.seed.unwrap_or_else(|| fastrand::u64(..));
    println!("fault bench, {extent} form, --seed {seed}");
    let mut report = Report::default();
    for &(name, scenario) in SCENARIOS {
        if !args.names.is_empty() && !args.names.iter().any(|asked| name.contains(asked.as_str())) {
            continue;
        }
        let begun = Instant::now();
        let findings = std::panic::catch_unwind(|| scenario(&Ground::new(extent, seed)));
        report.add(name, begun.elapsed(), findings.unwrap_or_else(|_| vec![Finding::broken()]));
    }
    println!("{report}");
    ExitCode::from(u8::from(!report.kept()))
}
