//! `notifyctl completions`: the completion script of a shell, from the same definition as the help.

use clap_complete::Shell;

use super::{Context, Error, Exit};

/// Print a completion script for a shell
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  notifyctl completions bash > /usr/share/bash-completion/completions/notifyctl
  notifyctl completions zsh > \"${fpath[1]}/_notifyctl\"
  notifyctl completions fish > ~/.config/fish/completions/notifyctl.fish")]
pub struct CompletionsArgs {
    /// Which shell
    #[arg(value_name = "SHELL")]
    shell: Shell,
}

/// Runs it.
pub fn run(context: &mut Context, args: &CompletionsArgs) -> Result<Exit, Error> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut super::command(), "notifyctl", &mut script);
    let script = String::from_utf8(script).map_err(|error| Error::internal(error.to_string()))?;
    context.out.line(script.trim_end())?;
    Ok(Exit::Ok)
}
