//! Who may speak to us over HTTP.
//!
//! A trait of its own: what decides about access is read from the store itself, and no cache can wrap it.

use super::Result;
use crate::model::token::{Scopes, Standing};
use crate::model::{Id, Timestamp};
use crate::secret::token::Fingerprint;

/// What is kept of tokens; each method is one statement, synced when it returns.
pub trait Tokens: Send {
    /// Keeps a new token and gives its id.
    fn create_token(&mut self, new: &NewToken) -> Result<Id>;
    /// One token, also one that is not good any more.
    fn token(&self, id: Id) -> Result<Option<Token>>;
    /// All of them, the oldest first.
    fn tokens(&self) -> Result<Vec<Token>>;
    /// Takes a token back for ever. Says whether it was there and had not been revoked before.
    fn revoke_token(&mut self, now: Timestamp, id: Id) -> Result<bool>;
    /// Notes that it was used. Callers do so seldom: it is a write.
    fn token_used(&mut self, now: Timestamp, id: Id) -> Result<()>;
}

/// A token to be kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewToken {
    /// For people: who has it.
    pub name: String,
    /// Of its secret.
    pub fingerprint: Fingerprint,
    /// What it allows.
    pub scopes: Scopes,
    /// The moment.
    pub created_at: Timestamp,
    /// From when on it is of no use, if ever.
    pub expires_at: Option<Timestamp>,
}

/// A token as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token {
    /// Its number; never used again.
    pub id: Id,
    /// For people: who has it.
    pub name: String,
    /// Of its secret.
    pub fingerprint: Fingerprint,
    /// What it allows.
    pub scopes: Scopes,
    /// When it was made.
    pub created_at: Timestamp,
    /// From when on it is of no use, if ever.
    pub expires_at: Option<Timestamp>,
    /// When it was taken back.
    pub revoked_at: Option<Timestamp>,
    /// When it was used last, give or take a minute.
    pub used_at: Option<Timestamp>,
}

impl Token {
    /// Whether it can be used at `now`.
    #[must_use]
    pub fn standing(&self, now: Timestamp) -> Standing {
        Standing::of(self.expires_at, self.revoked_at, now)
    }
}
