//! The answers that rows ask for, from this host: configured channels, known users, files, the local time zone.

use super::files::Folder;
use crate::config::{self, Config};
use crate::model::{Attachment, Problem, Timestamp};
use crate::store::{self, Access, ErrorKind, Store};
use crate::wire::row::Intake;

/// The intake of the shell.
pub struct Shell<'a> {
    config: &'a Config,
    now: Timestamp,
    /// Where rows may name files; nowhere, for options and for rows from standard input.
    folder: Option<Folder>,
    /// Opened when the first user is looked up.
    store: Option<Box<dyn Store>>,
    /// The user who was looked up last, and their recipient: rows for the same one often follow each other.
    known: Option<(String, String)>,
    /// Why the store could not answer; the rows are not to blame.
    trouble: Option<store::Error>,
}

impl<'a> Shell<'a> {
    /// An intake for `config` at `now`.
    pub fn new(config: &'a Config, now: Timestamp, folder: Option<Folder>) -> Self {
        Self { config, now, folder, store: None, known: None, trouble: None }
    }

    /// Why the store could not answer, if it could not.
    pub fn trouble(&mut self) -> Option<store::Error> {
        self.trouble.take()
    }

    /// The store for writing; the one that users were looked up in, when there is one.
    pub fn into_store(self) -> store::Result<Box<dyn Store>> {
        match self.store {
            Some(store) => Ok(store),
            None => store::open(&self.config.store, Access::Create, self.now),
        }
    }

    fn look_up(&mut self, id: &str) -> store::Result<Option<String>> {
        let store = match &mut self.store {
            Some(store) => store,
            slot => match store::open(&self.config.store, Access::Existing, self.now) {
                Ok(store) => slot.insert(store),
                // No store, no users.
                Err(error) if error.kind == ErrorKind::Missing => return Ok(None),
                Err(error) => return Err(error),
            },
        };
        Ok(store.user(id)?.map(|user| user.recipient))
    }
}

impl Intake for Shell<'_> {
    fn route(&mut self, channel: &str) -> Result<&[String], Problem> {
        self.config.route(channel)
    }

    fn recipient(&mut self, channel: &str, recipient: &str) -> Result<String, Problem> {
        self.config.recipient(channel, recipient)
    }

    fn user(&mut self, id: &str) -> Result<String, Problem> {
        if let Some((known, recipient)) = &self.known
            && known == id
        {
            return Ok(recipient.clone());
        }
        match self.look_up(id) {
            Ok(Some(recipient)) => {
                self.known = Some((id.to_owned(), recipient.clone()));
                Ok(recipient)
            }
            Ok(None) => Err(config::unknown_user()),
            Err(error) => {
                self.trouble = Some(error);
                Err(Problem::new("user_id", "cannot be looked up"))
            }
        }
    }

    fn at(&mut self, text: &str) -> Result<Timestamp, Problem> {
        config::moment(text, self.now)
    }

    fn file(&mut self, path: &str) -> Result<Attachment, Problem> {
        match &self.folder {
            Some(folder) => folder.attachment(path, self.config.limits.attachments),
            None => Err(Problem::new(
                "attachments",
                "a path is taken from batch files alone; give name and content",
            )),
        }
    }
}
