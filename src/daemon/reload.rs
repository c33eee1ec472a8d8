//! A configuration that is read anew, and whether it can take the place of the one that holds.
//!
//! It is read beside what goes on: a command that is asked for a secret may take ten seconds, and nobody who sends, and no
//! signal, waits for that.

use std::sync::Arc;

use tokio::task::JoinHandle;

use super::lanes;
use crate::config::{self, Config};
use crate::delivery::Lane;

/// Reads the configuration again; the error is for people.
pub type Reload = Arc<dyn Fn() -> Result<Config, config::Error> + Send + Sync>;

/// A configuration, and its channels where they are to be sent on.
pub(super) struct New {
    pub(super) config: Config,
    pub(super) lanes: Vec<Lane>,
}

/// What is being read, if anything is.
pub(super) struct Reading {
    reload: Reload,
    under_way: Option<JoinHandle<Result<New, String>>>,
    /// Asked for once more, with `sends`, while it was under way: it may have read what was there before.
    again: Option<bool>,
}

impl Reading {
    pub(super) fn by(reload: Reload) -> Self {
        Self { reload, under_way: None, again: None }
    }

    /// Begins to read, with its channels if it `sends`.
    pub(super) fn begin(&mut self, sends: bool) {
        if self.under_way.is_some() {
            self.again = Some(sends);
            return;
        }
        let reload = Arc::clone(&self.reload);
        self.under_way = Some(tokio::task::spawn_blocking(move || read(&reload, sends)));
    }

    /// Waits for what was read last; for ever when nothing is. Nothing is lost when the answer is not waited for.
    pub(super) async fn done(&mut self) -> Result<New, String> {
        loop {
            let Some(reading) = &mut self.under_way else { return std::future::pending().await };
            let new = reading.await;
            self.under_way = None;
            match self.again.take() {
                Some(sends) => self.begin(sends),
                None => return new.unwrap_or_else(|error| Err(error.to_string())),
            }
        }
    }
}

fn read(reload: &Reload, sends: bool) -> Result<New, String> {
    let config = reload().map_err(|error| error.to_string())?;
    let mut lanes = Vec::new();
    for channel in config.channels.clone().into_iter().filter(|_| sends) {
        let (built, unfit) = lanes::build([channel]);
        // The first one is enough: each may have waited for a command.
        if let Some(error) = unfit.first() {
            return Err(error.to_string());
        }
        lanes.extend(built);
    }
    Ok(New { config, lanes })
}

/// What of `new` cannot take the place of what `holds`, if anything.
pub(super) fn refuse_unfit(holds: &Config, new: &Config) -> Result<(), String> {
    // Without its file the defaults would hold: on other ways out than anybody configured.
    if let Some(file) = holds.file.as_ref().filter(|_| holds.file != new.file) {
        let file = file.display();
        return Err(match &new.file {
            None => format!("{file} is not there any more"),
            Some(other) => {
                format!("{} would be read in place of {file}, which only a restart does", other.display())
            }
        });
    }
    for (what, changed) in [
        ("[store]", new.store != holds.store),
        ("[http]", new.http != holds.http),
        ("[log]", new.log != holds.log),
        // Secrets that stand in the file itself are not compared: they are not shown either.
        ("[cache]", format!("{:?}", new.cache) != format!("{:?}", holds.cache)),
        ("[daemon] roles", new.daemon.roles != holds.daemon.roles),
    ] {
        if changed {
            return Err(format!("{what} has changed, which only a restart takes up"));
        }
    }
    Ok(())
}
