//! `notifyctl config`: make, check and show the configuration.

mod check;
mod init;
mod show;

use std::path::PathBuf;

use super::{Context, Error, Exit};

/// Make, check and show the configuration
#[derive(Debug, clap::Args)]
pub struct ConfigArgs {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Write a configuration with every key, its default and why
    ///
    /// To the file that --config or $NOTIFYCTL_CONFIG names, else to /etc/notifyctl/notifyctl.toml for root
    /// and $XDG_CONFIG_HOME/notifyctl/notifyctl.toml for others. All of it is commented out: nothing changes
    /// until you change it.
    #[command(after_help = "Exit codes: 0; 73 when the file exists or cannot be made.")]
    Init {
        /// Write here; `-` for standard output
        #[arg(long, value_name = "FILE")]
        output: Option<PathBuf>,
        /// Replace a file that exists
        #[arg(long)]
        force: bool,
    },
    /// Say whether the configuration can be used, without sending anything
    ///
    /// Reads secrets and templates as a pass does, opens no connection, and warns about secrets that everybody
    /// can read.
    #[command(after_help = "Exit codes: 0 when it can be used; 78 when not.")]
    Check,
    /// Show every key with the value that holds; secrets are left out
    #[command(after_help = "Exit codes: 0; 78 when the configuration cannot be used.")]
    Show {
        /// Write JSON
        #[arg(long)]
        json: bool,
        /// Say of each value where it comes from: default, file and line, or a variable
        #[arg(long)]
        origin: bool,
    },
}

/// Runs it.
pub fn run(context: &mut Context, args: ConfigArgs) -> Result<Exit, Error> {
    match args.command {
        Command::Init { output, force } => {
            let replace = if force { init::Existing::Replace } else { init::Existing::Keep };
            init::run(context, output, replace)
        }
        Command::Check => check::run(context),
        Command::Show { json: true, origin } => show::json(context, origin.into()),
        Command::Show { json: false, origin } => show::toml(context, origin.into()),
    }
}
