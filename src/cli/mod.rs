//! The command line: one file per subcommand, output, and errors to exit codes. Knows no SQL.

mod cache;
mod cancel;
mod channel;
mod check;
mod completions;
mod config;
mod context;
mod daemon;
mod db;
mod enqueue;
mod error;
mod events;
mod face;
mod hold;
mod interrupt;
mod list;
mod logging;
mod output;
mod purge;
mod release;
mod requeue;
mod selection;
mod send_pending;
mod show;
mod standing;
mod status;
mod steer;
mod table;
mod token;
mod top;
mod user;
mod wait;
mod why;

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, CommandFactory, Parser, Subcommand};

use crate::secret;

/// What the fuzz targets reach beside the interface; no part of it.
#[doc(hidden)]
pub mod fuzz {
    pub use super::enqueue::{Format, read_rows};
}

pub use context::Context;
pub use error::{Error, Exit};

/// A durable notification queue for one server
///
/// Enqueue from a shell line, a cron job, a script or over HTTP; `send-pending`, run by cron, or `daemon`, which stays,
/// delivers by mail, webhook, program or file; `status` tells the truth about it.
#[derive(Debug, Parser)]
#[command(name = "notifyctl", version, max_term_width = 100, disable_help_subcommand = true)]
#[command(
    after_help = "Start with: notifyctl enqueue --to you@example.org 'hello'; notifyctl send-pending; notifyctl status"
)]
pub struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

/// What every subcommand takes.
#[derive(Debug, Clone, Args)]
pub struct Global {
    /// Configuration file [default: $NOTIFYCTL_CONFIG, or the first that exists of
    /// $XDG_CONFIG_HOME/notifyctl/notifyctl.toml and /etc/notifyctl/notifyctl.toml]
    #[arg(long, global = true, value_name = "FILE", help_heading = "Global options")]
    pub config: Option<PathBuf>,
    /// What is logged at least: off, error, warn, info, debug or trace
    #[arg(long, global = true, value_name = "LEVEL", help_heading = "Global options")]
    pub log_level: Option<log::LevelFilter>,
}

#[derive(Debug, Subcommand)]
enum Command {
    Enqueue(Box<enqueue::EnqueueArgs>),
    SendPending(send_pending::SendPendingArgs),
    Daemon(daemon::DaemonArgs),
    Status(status::StatusArgs),
    Check(check::CheckArgs),
    Top(top::TopArgs),
    List(list::ListArgs),
    Show(show::ShowArgs),
    Why(why::WhyArgs),
    Wait(wait::WaitArgs),
    Events(events::EventsArgs),
    Cancel(cancel::CancelArgs),
    Hold(hold::HoldArgs),
    Release(release::ReleaseArgs),
    Requeue(requeue::RequeueArgs),
    Purge(purge::PurgeArgs),
    Channel(channel::ChannelArgs),
    User(user::UserArgs),
    Token(token::TokenArgs),
    Cache(cache::CacheArgs),
    Db(db::DbArgs),
    Config(config::ConfigArgs),
    Completions(completions::CompletionsArgs),
}

/// The definition that help, man pages and completions are made from.
#[must_use]
pub fn command() -> clap::Command {
    Cli::command()
}

/// Runs one command line and says how it ended (sysexits).
pub fn main(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let args: Vec<OsString> = args.into_iter().collect();
    let cli = match parse(&args) {
        Ok(cli) => cli,
        Err(error) if check::is_meant(&args) => return check::usage(&error),
        Err(error) => return error::usage(&error),
    };
    let mut context = Context::new(cli.global);
    let ended = run(&mut context, cli.command).and_then(|exit| context.out.finish().map(|()| exit));
    // Who asked a program for a secret, and did not wait for it, leaves none behind.
    secret::end_commands();
    match ended {
        Ok(exit) => exit.into(),
        Err(error) => error.report(),
    }
}

/// `enqueue` without the other verbs: to define all of them takes longer than all else before the store is open.
#[derive(Debug, Parser)]
struct EnqueueAlone {
    #[command(flatten)]
    global: Global,
    #[command(flatten)]
    args: enqueue::EnqueueArgs,
}

/// What this cannot parse, help included, is answered from the whole definition.
fn parse(args: &[OsString]) -> Result<Cli, clap::Error> {
    if args.get(1).is_some_and(|verb| verb == "enqueue")
        && let Ok(EnqueueAlone { global, args }) = EnqueueAlone::try_parse_from(&args[1..])
    {
        return Ok(Cli { global, command: Command::Enqueue(Box::new(args)) });
    }
    Cli::try_parse_from(args)
}

fn run(context: &mut Context, command: Command) -> Result<Exit, Error> {
    match command {
        Command::Enqueue(args) => enqueue::run(context, &args),
        Command::SendPending(args) => send_pending::run(context, &args),
        Command::Daemon(args) => daemon::run(context, args),
        Command::Top(args) => top::run(context, &args),
        Command::Check(args) => check::run(context, &args),
        Command::Status(args) => status::run(context, args),
        Command::List(args) => list::run(context, args),
        Command::Show(args) => show::run(context, args),
        Command::Why(args) => why::run(context, args),
        Command::Wait(args) => wait::run(context, args),
        Command::Events(args) => events::run(context, args),
        Command::Cancel(args) => cancel::run(context, args),
        Command::Hold(args) => hold::run(context, args),
        Command::Release(args) => release::run(context, args),
        Command::Requeue(args) => requeue::run(context, args),
        Command::Purge(args) => purge::run(context, args),
        Command::Channel(args) => channel::run(context, args),
        Command::User(args) => user::run(context, args),
        Command::Token(args) => token::run(context, args),
        Command::Cache(args) => cache::run(context, &args),
        Command::Db(args) => db::run(context, args),
        Command::Config(args) => config::run(context, args),
        Command::Completions(args) => completions::run(context, &args),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn enqueue_alone_is_parsed_as_among_all_verbs() {
        for line in [
            "notifyctl enqueue",
            "notifyctl enqueue --to a@example.org --to b@example.org --in 5s --json -- -text",
            "notifyctl enqueue --config f.toml --log-level debug -",
            "notifyctl --config f.toml enqueue --batch - --format csv --max-errors 3",
            "notifyctl enqueue --help",
            "notifyctl enqueue -V",
            "notifyctl enqueue --too x",
            "notifyctl enqueue --at now --in 5s x",
            "notifyctl enqueue one two",
            "notifyctl enqueu x",
        ] {
            let args: Vec<OsString> = line.split(' ').map(OsString::from).collect();
            let told = |parsed: Result<Cli, clap::Error>| match parsed {
                Ok(cli) => format!("{cli:?}"),
                Err(error) => error.render().to_string(),
            };
            assert_eq!(told(parse(&args)), told(Cli::try_parse_from(&args)), "{line}");
        }
    }
}
