//! What every subcommand is handed: configuration, store and output, each made when first asked for.

use super::logging::Logging;
use super::output::Out;
use super::{Error, Global};
use crate::clock::{Clock, SystemClock};
use crate::config::Config;
use crate::model::Timestamp;
use crate::store::{self, Access, Store};

/// What every subcommand is handed.
pub struct Context {
    /// The options that every subcommand takes.
    pub global: Global,
    /// Standard output, for results.
    pub out: Out,
    config: Option<(Config, Logging)>,
}

impl Context {
    pub(super) fn new(global: Global) -> Self {
        Self { global, out: Out::stdout(), config: None }
    }

    /// The time.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        SystemClock.now()
    }

    /// The configuration, read on first use; logging starts with it.
    ///
    /// # Errors
    /// When it cannot be read, or says something that cannot be meant.
    pub fn config(&mut self) -> Result<&Config, Error> {
        Ok(&self.configured()?.0)
    }

    /// What logs, as the configuration says.
    ///
    /// # Errors
    /// As for [`Context::config`].
    pub fn logging(&mut self) -> Result<Logging, Error> {
        Ok(self.configured()?.1.clone())
    }

    fn configured(&mut self) -> Result<&(Config, Logging), Error> {
        if self.config.is_none() {
            let config = Config::load(self.global.config.as_deref())?;
            let logging = Logging::start(&config.log, self.global.log_level)?;
            self.config = Some((config, logging));
        }
        Ok(self.config.as_ref().expect("set above"))
    }

    /// The store.
    ///
    /// # Errors
    /// As the store's own, with a hint.
    pub fn store(&mut self, access: Access) -> Result<Box<dyn Store>, Error> {
        let now = self.now();
        Ok(store::open(&self.config()?.store, access, now)?)
    }
}
