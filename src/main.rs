//! Arguments in, exit code out.

use std::process::ExitCode;

fn main() -> ExitCode {
    notifyctl::cli::main(std::env::args_os())
}
