//! The small programs beside this that use a peer as its documentation says, and print what it took.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::Attempt;
use super::packages::folder;
use super::servers::run;

/// How long a driver may run.
const LONGEST_SECONDS: u32 = 120;

/// Where the drivers lie.
fn here() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/bench/peers")
}

/// A program of the Python peers.
pub fn python(program: &str) -> Command {
    let mut command = Command::new(folder().join("venv/bin").join(program));
    // pip has compiled what it installed; what lies beside this is small, and stays as it is.
    command.env("PYTHONPATH", here()).env("PYTHONDONTWRITEBYTECODE", "1");
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

/// Runs a driver, and answers with the rate: it prints the seconds for `count`. One that hangs is ended, and
/// none outlives this program.
pub fn rate(driver: &Command, count: usize) -> Attempt<f64> {
    let mut bounded = Command::new("setpriv");
    bounded
        .args(["--pdeathsig", "TERM", "--", "timeout", &LONGEST_SECONDS.to_string()])
        .arg(driver.get_program())
        .args(driver.get_args());
    bounded.envs(driver.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let name = driver.get_args().next().map(Path::new).and_then(Path::file_name).unwrap_or_default();
    let name = name.display();
    let output = bounded.stdin(Stdio::null()).output().map_err(|error| format!("{name}: {error}"))?;
    let text = String::from_utf8_lossy(&output.stdout);
    let seconds: Option<f64> = text.lines().last().and_then(|line| line.trim().parse().ok());
    match seconds {
        Some(seconds) if output.status.success() => Ok(count as f64 / seconds),
        _ if output.status.code() == Some(124) => Err(format!("{name} took longer than {LONGEST_SECONDS} s")),
        _ => {
            let said = String::from_utf8_lossy(&output.stderr);
            let error = said.lines().rfind(|line| line.contains("Error")).unwrap_or_default();
            Err(format!("{name} ended with {}: {error}", output.status))
        }
    }
}

/// How long a whole command takes, in seconds.
pub fn seconds(command: &mut Command) -> Attempt<f64> {
    let mut outcome = Ok(());
    let took = crate::measure::time(|| outcome = run(command));
    outcome.map(|()| took)
}
