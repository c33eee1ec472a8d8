//! Where each row of a batch is completed by the options and checked; the same in both passes.

use crate::cli::Error;
use crate::cli::enqueue::files::Folder;
use crate::cli::enqueue::intake::Shell;
use crate::config::Config;
use crate::model::{Problem, Timestamp};
use crate::wire::row::{NewRow, Row, Terms};

/// Checks rows.
pub struct Desk<'a> {
    terms: Terms,
    intake: Shell<'a>,
    defaults: Row,
}

impl<'a> Desk<'a> {
    /// A desk that completes rows by `defaults` and lets them name files in `folder`.
    pub fn new(config: &'a Config, now: Timestamp, folder: Option<Folder>, defaults: Row) -> Self {
        Self { terms: config.terms(now), intake: Shell::new(config, now, folder), defaults }
    }

    /// The notifications of a row, or what is wrong with it.
    ///
    /// # Errors
    /// When the store cannot say whether a user is known.
    pub fn accept(&mut self, row: Row) -> Result<Result<NewRow, Vec<Problem>>, Error> {
        let accepted = row.or(&self.defaults).into_new(&self.terms, &mut self.intake);
        match self.intake.trouble() {
            Some(error) => Err(error.into()),
            None => Ok(accepted),
        }
    }
}
