//! `notifyctl check`: say to a monitoring system whether all is well, as its plugins do.

mod limits;
mod report;

use std::cmp::Ordering;
use std::ffi::OsString;
use std::io::Write;
use std::process::ExitCode;
use std::time::Duration;

use limits::{Limits, State};
use report::Report;

use super::face::{count, one_line};
use super::{Context, Error, Exit};
use crate::model::{Status, Timestamp};
use crate::store::{Access, Space, shapes};
use crate::{units, wire};

/// Say to a monitoring system whether all is well
///
/// Answers as a Nagios plugin does: one line that begins with NOTIFYCTL and OK, WARNING, CRITICAL or UNKNOWN, numbers for graphs
/// behind a `|`, and below it a line per channel. It reads counters, so it costs the same whatever the
/// history, and changes nothing. A full disk, or a file system that takes nothing, is CRITICAL whatever the limits.
///
/// A limit is the last value that is still well. One limit alone is CRITICAL beyond it; two, as in
/// `--dead 0,10`, are WARNING and CRITICAL; one with a comma behind it (`--dead 0,`) is WARNING alone.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Exit codes: 0 OK; 1 WARNING; 2 CRITICAL; 3 UNKNOWN, also when the command line or the configuration is \
        wrong, or there is no store. This is the convention of monitoring plugins, and differs from all other \
        commands on purpose.\n\n\
        Examples:\n  \
        notifyctl check\n  \
        notifyctl check --oldest-due 5m,15m --dead 0,10 --sender-silent 2m --store-free 10%,5%\n  \
        notifyctl check --channel alerts --oldest-due 30s --pending 100"
)]
pub struct CheckArgs {
    /// For how long something may have been due
    #[arg(long, value_name = "[WARN,]CRIT", default_value = "15m", value_parser = duration)]
    oldest_due: Limits<Duration>,
    /// How many may be dead
    #[arg(long, value_name = "[WARN,]CRIT", value_parser = limits::number)]
    dead: Option<Limits<u64>>,
    /// How many may be pending
    #[arg(long, value_name = "[WARN,]CRIT", value_parser = limits::number)]
    pending: Option<Limits<u64>>,
    /// How many may be held
    #[arg(long, value_name = "[WARN,]CRIT", value_parser = limits::number)]
    held: Option<Limits<u64>>,
    /// How many channels may be held or in trouble
    #[arg(long, value_name = "[WARN,]CRIT", value_parser = limits::number)]
    stopped: Option<Limits<u64>>,
    /// For how long nobody who delivers may have been seen: neither a daemon nor a pass. With cron alone, more
    /// than the time between two passes
    #[arg(long, value_name = "[WARN,]CRIT", value_parser = duration)]
    sender_silent: Option<Limits<Duration>>,
    /// How much of the file system that holds the store must be free, such as 5%
    #[arg(long, value_name = "[WARN,]CRIT", value_parser = limits::percent)]
    store_free: Option<Limits<u64>>,
    /// Only this channel; may be given more than once [default: all]
    #[arg(long = "channel", value_name = "NAME")]
    channels: Vec<String>,
}

fn duration(text: &str) -> Result<Limits<Duration>, String> {
    limits::read(text, Ordering::Greater, units::duration)
}

/// Runs it. What keeps it from looking is an answer too.
pub fn run(context: &mut Context, args: &CheckArgs) -> Result<Exit, Error> {
    let (lines, exit) = match look(context, args) {
        Ok((report, well)) => (report.lines(&well), exit(report.state())),
        Err(error) => match error.exit() {
            // The store is there, and damaged.
            Exit::DataErr | Exit::IoErr => (vec![unable(State::Critical, &error)], Exit::Critical),
            _ => (vec![unable("UNKNOWN", &error)], Exit::Unknown),
        },
    };
    lines.into_iter().try_for_each(|line| context.out.line(line))?;
    Ok(exit)
}

fn exit(state: State) -> Exit {
    match state {
        State::Ok => Exit::Ok,
        State::Warning => Exit::Negative,
        State::Critical => Exit::Critical,
    }
}

fn unable(state: impl std::fmt::Display, error: impl std::fmt::Display) -> String {
    format!("NOTIFYCTL {state} - {}", report::unbarred(&one_line(&error.to_string())))
}

/// Whether this command line is one of `check`, however wrong.
pub(super) fn is_meant(args: &[OsString]) -> bool {
    let mut args = args.iter().skip(1).filter_map(|arg| arg.to_str());
    while let Some(arg) = args.next() {
        match arg {
            "--config" | "--log-level" => drop(args.next()),
            option if option.starts_with('-') => {}
            verb => return verb == "check",
        }
    }
    false
}

/// A wrong command line, as a monitoring system understands it.
pub(super) fn usage(error: &clap::Error) -> ExitCode {
    if !error.use_stderr() {
        return super::error::usage(error);
    }
    let text = error.render().to_string();
    let first = text.lines().next().unwrap_or_default();
    // Nobody reads: nothing to say.
    let _ = writeln!(std::io::stdout(), "{}", unable("UNKNOWN", first.trim_start_matches("error: ")));
    Exit::Unknown.into()
}

/// What is found, and what is said when all of it is well.
fn look(context: &mut Context, args: &CheckArgs) -> Result<(Report, String), Error> {
    let config = context.config()?.clone();
    let store = context.store(Access::Read)?;
    let now = context.now();
    let mut status = shapes::status(&*store, &config.configured(), config.store.url.to_string(), now)?;
    for name in &args.channels {
        if !status.channels.contains_key(name) {
            return Err(Error::new(Exit::NoInput, format!("there is no channel {}", one_line(name))));
        }
    }
    if !args.channels.is_empty() {
        narrow(&mut status, &args.channels);
    }
    Ok(judge(&status, store.space()?, args, now))
}

/// Leaves only these channels.
fn narrow(status: &mut wire::Status, names: &[String]) {
    status.channels.retain(|name, _| names.contains(name));
    status.counts = wire::Counts::default();
    status.channels.values().for_each(|channel| status.counts.add(&channel.counts));
    status.oldest_due_at = status.channels.values().filter_map(|channel| channel.oldest_due_at).min();
}

fn judge(status: &wire::Status, space: Space, args: &CheckArgs, now: Timestamp) -> (Report, String) {
    let mut report = Report::new();
    let overdue = status.oldest_due_at.map_or(Duration::ZERO, |at| now.since(at));
    let (state, limit) = args.oldest_due.above(overdue);
    report.judged(state, || {
        let oldest = |channel: &&wire::ChannelStatus| channel.oldest_due_at == status.oldest_due_at;
        let on = status.channels.iter().find(|(_, channel)| oldest(channel)).map_or("", |(name, _)| name);
        format!("due for {} on {}{}", units::span(overdue), one_line(on), over(limit.map(units::span)))
    });
    report.number("oldest_due", overdue.as_secs(), "s", Some(args.oldest_due), seconds);

    silence(&mut report, status, args, now);
    for (which, limits) in
        [(Status::Dead, args.dead), (Status::Pending, args.pending), (Status::Held, args.held)]
    {
        counted(&mut report, which.as_str(), status.counts.of(which), limits);
    }
    report.number("sending", status.counts.of(Status::Sending), "", None, |n: u64| n.to_string());
    let stopped = status.channels.values().filter(|one| one.held.is_some() || one.trouble.is_some()).count();
    counted(&mut report, "stopped channels", stopped as u64, args.stopped);

    let free = (u128::from(space.free) * 100).checked_div(space.size.into()).unwrap_or(100);
    let free = u64::try_from(free).unwrap_or(100);
    let (state, limit) = args.store_free.map_or((State::Ok, None), |limits| limits.below(free));
    report.judged(state, || format!("{free} % of the store's disk is free (below {} %)", limit.unwrap_or(0)));
    // A range that is well from its limit on.
    report.number("store_free", free, "%", args.store_free, |limit| format!("{limit}:"));

    // Nothing is accepted then, and nobody has to have thought of it.
    let takes_nothing = match space {
        Space { read_only: true, .. } => Some("the file system of the store is read-only"),
        Space { free: ..Space::FULL, .. } => Some("the disk of the store is full"),
        _ => None,
    };
    report.judged(takes_nothing.map_or(State::Ok, |_| State::Critical), || {
        takes_nothing.unwrap_or_default().to_owned()
    });

    status.channels.iter().for_each(|(name, channel)| report.detail(channel_line(name, channel, now)));
    let counts = [Status::Pending, Status::Held, Status::Dead];
    let counts = counts.map(|which| format!("{} {which}", count(status.counts.of(which)))).join(", ");
    let due = if status.oldest_due_at.is_some() {
        format!("due for {}", units::span(overdue))
    } else {
        "nothing is due".into()
    };
    (report, format!("{due}; {counts}"))
}

/// How long nobody who delivers has been seen.
fn silence(report: &mut Report, status: &wire::Status, args: &CheckArgs, now: Timestamp) {
    let silent = status.sender_seen_at.map(|at| now.since(at));
    if let Some(silent) = silent {
        report.number("sender_silent", silent.as_secs(), "s", args.sender_silent, seconds);
    }
    let Some(limits) = args.sender_silent else { return };
    let (state, limit) = limits.above(silent.unwrap_or(Duration::MAX));
    report.judged(state, || match silent {
        Some(silent) => {
            format!("nobody delivers for {}{}", units::span(silent), over(limit.map(units::span)))
        }
        None => "nobody delivers: there is no daemon, and there was no pass".to_owned(),
    });
}

fn counted(report: &mut Report, what: &str, n: u64, limits: Option<Limits<u64>>) {
    let (state, limit) = limits.map_or((State::Ok, None), |limits| limits.above(n));
    report.judged(state, || format!("{} {what}{}", count(n), over(limit.map(count))));
    report.number(&what.replace(' ', "_"), n, "", limits, |n| n.to_string());
}

fn over(limit: Option<String>) -> String {
    limit.map(|limit| format!(" (over {limit})")).unwrap_or_default()
}

fn seconds(limit: Duration) -> String {
    limit.as_secs_f64().to_string()
}

/// One channel: its counts, and what stops it. Without the other side's words, which may name people.
fn channel_line(name: &str, channel: &wire::ChannelStatus, now: Timestamp) -> String {
    let counts = [Status::Pending, Status::Held, Status::Sending, Status::Dead];
    let mut parts: Vec<_> = counts.map(|which| format!("{} {which}", count(channel.counts.of(which)))).into();
    if let Some(at) = channel.oldest_due_at {
        parts.push(format!("due for {}", units::span(now.since(at))));
    }
    if let Some(hold) = &channel.held {
        parts.push(format!("held for {}", units::span(now.since(hold.since))));
    }
    if let Some(trouble) = &channel.trouble {
        let reason = trouble.reason.map_or_else(|| "paused".to_owned(), |reason| reason.to_string());
        parts.push(format!("in trouble ({reason}, {} in a row)", trouble.failures));
    }
    if channel.kind.is_none() {
        parts.push("not configured".to_owned());
    }
    format!("{}: {}", one_line(name), parts.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_command_line_of_check_is_known_as_one() {
        for (line, meant) in [
            ("notifyctl check --bad", true),
            ("notifyctl --config f check --bad", true),
            ("notifyctl --log-level=debug check", true),
            ("notifyctl db check --bad", false),
            ("notifyctl --config check", false),
            ("notifyctl", false),
        ] {
            let args: Vec<_> = line.split(' ').map(OsString::from).collect();
            assert_eq!(is_meant(&args), meant, "{line}");
        }
    }
}
