//! `notifyctl send-pending`: deliver what is due, in one pass.
//!
//! Prints nothing when nobody looks and all went well, so that cron stays silent.

mod chosen;
mod dry_run;
mod pass;
mod progress;
mod report;

use std::time::Duration;

use clap::{Args, ValueEnum};

use super::interrupt::Interrupt;
use super::output::say;
use super::{Context, Error, Exit};
use crate::daemon::lanes;
use crate::delivery::{Budget, Tally};
use crate::store::Access;
use crate::units;

/// Deliver what is due, in one pass
///
/// Attempts everything that is due, within each channel's rates, until nothing due is left or a budget is
/// used up. Passes may overlap: each one claims what it attempts. Silent when nobody looks and all went well.
///
/// TERM, INT and HUP end the pass in time: nothing more begins, what has not begun is given back, and what is
/// under way gets a few seconds; a second signal abandons that too.
#[derive(Debug, Args)]
#[command(
    after_help = "Exit codes: 0 the pass ran; 1 something died in it or is held because nobody saw its end \
        (see --fail-on); 74 the store failed; 75 the store is busy, unreachable or full; 78 a channel \
        cannot be used as configured."
)]
pub struct SendPendingArgs {
    /// Only this channel; may be given more than once [default: all]
    #[arg(long = "channel", value_name = "NAME")]
    channels: Vec<String>,
    /// Attempt at most N notifications
    #[arg(long, value_name = "N")]
    limit: Option<u64>,
    /// Begin nothing more after this time, such as 55s or 10m
    #[arg(long, value_name = "DURATION", value_parser = units::duration)]
    max_time: Option<Duration>,
    /// List what is due now, channel by channel in the order of ids, and change nothing
    #[arg(long)]
    dry_run: bool,
    /// What makes the exit code 1
    #[arg(long, value_name = "WHAT", value_enum, default_value_t)]
    fail_on: FailOn,
    /// Print the tally (or with --dry-run one line per notification) as JSON
    #[arg(long)]
    json: bool,
}

/// What makes the exit code 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
enum FailOn {
    /// Something died, or is held because nobody saw its end
    #[default]
    Dead,
    /// The same, or something was deferred
    Deferred,
    /// Nothing
    Never,
}

impl FailOn {
    fn exit(self, tally: &Tally) -> Exit {
        let lost = tally.total.dead + tally.total.held;
        let bad = match self {
            Self::Dead => lost,
            Self::Deferred => lost + tally.total.deferred,
            Self::Never => 0,
        };
        if bad > 0 { Exit::Negative } else { Exit::Ok }
    }
}

/// Runs it.
pub fn run(context: &mut Context, args: &SendPendingArgs) -> Result<Exit, Error> {
    let &SendPendingArgs { ref channels, limit, max_time, dry_run, fail_on, json } = args;
    let chosen = chosen::choose(context.config()?, channels)?;
    let configured = context.config()?.channels.keys().cloned().collect();
    if dry_run {
        return dry_run::run(context, &chosen, limit, json);
    }
    let interrupt = Interrupt::heed()?;
    let (lanes, unfit) = lanes::build(chosen);
    for error in &unfit {
        say(error);
    }
    if lanes.is_empty() {
        return Ok(Exit::Config);
    }
    let store = context.store(Access::Create)?;
    let done = pass::run(store, lanes, configured, Budget { limit, max_time }, &interrupt)?;
    report::print(&mut context.out, &done, json)?;
    // What is wrong with the configuration stays wrong until somebody sees to it.
    Ok(if unfit.is_empty() { fail_on.exit(&done.tally) } else { Exit::Config })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::delivery::ChannelTally;

    #[test]
    fn what_makes_the_exit_code_one_is_the_callers_choice() {
        let tally = |total| Tally { total, ..Tally::default() };
        let dead = tally(ChannelTally { dead: 1, ..ChannelTally::default() });
        let held = tally(ChannelTally { held: 1, ..ChannelTally::default() });
        let deferred = tally(ChannelTally { deferred: 1, ..ChannelTally::default() });
        for (fail_on, bad) in [
            (FailOn::Dead, [true, true, false]),
            (FailOn::Deferred, [true, true, true]),
            (FailOn::Never, [false, false, false]),
        ] {
            let exits = [&dead, &held, &deferred].map(|tally| fail_on.exit(tally) == Exit::Negative);
            assert_eq!(exits, bad, "{fail_on:?}");
        }
    }
}
