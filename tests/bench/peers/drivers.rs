//! The small programs beside this that use a peer as its documentation says, and print what it took.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::Attempt;
use super::packages::folder;
use super::servers::run;

/// Where the drivers lie.
fn here() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/bench/peers")
}

/// A program of the Python peers.
pub fn python(program: &str) -> Command {
    let mut command = Command::new(folder().join("venv/bin").join(program));
    // Compiled once, but not beside the sources.
    command.env("PYTHONPATH", here()).env("PYTHONPYCACHEPREFIX", folder().join("pycache"));
    command
}

/// A driver in Python.
pub fn python_driver(name: &str) -> Command {
    let mut command = python("python3");
    command.arg(here().join(name));
    command
}

/// A driver in JavaScript.
pub fn node_driver(name: &str) -> Command {
    let mut command = Command::new("node");
    command.env("NODE_PATH", folder().join("node_modules")).arg(here().join(name));
    command
}

/// Runs a driver, and answers with the rate: it prints the seconds for `count`.
pub fn rate(driver: &mut Command, count: usize) -> Attempt<f64> {
    let program = driver.get_args().next().map(|path| path.display().to_string()).unwrap_or_default();
    let output = driver.stdin(Stdio::null()).output().map_err(|error| format!("{program}: {error}"))?;
    let text = String::from_utf8_lossy(&output.stdout);
    let seconds: Option<f64> = text.lines().last().and_then(|line| line.trim().parse().ok());
    match seconds {
        Some(seconds) if output.status.success() => Ok(count as f64 / seconds),
        _ => {
            let said = String::from_utf8_lossy(&output.stderr);
            let error = said.lines().rfind(|line| line.contains("Error")).unwrap_or_default();
            Err(format!("{program} ended with {}: {error}", output.status))
        }
    }
}

/// How long a whole command takes, in seconds.
pub fn seconds(command: &mut Command) -> Attempt<f64> {
    let mut outcome = Ok(());
    let took = crate::measure::time(|| outcome = run(command));
    outcome.map(|()| took)
}
