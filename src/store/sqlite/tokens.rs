//! Tokens in SQLite.

use rusqlite::{Connection, OptionalExtension, Row, params};

use super::Sqlite;
use super::sql::sql;
use crate::model::{Id, Timestamp};
use crate::secret::token::Fingerprint;
use crate::store::{NewToken, Result, Token, Tokens};

impl Tokens for Sqlite {
    fn create_token(&mut self, new: &NewToken) -> Result<Id> {
        self.write("create a token in", |connection| {
            let values = params![new.name, new.fingerprint.0, new.scopes, new.created_at, new.expires_at];
            connection.prepare_cached(sql!("token_create"))?.insert(values)
        })
    }

    fn token(&self, id: Id) -> Result<Option<Token>> {
        self.read(|connection| connection.prepare_cached(sql!("token"))?.query_row([id], token).optional())
    }

    fn tokens(&self) -> Result<Vec<Token>> {
        self.read(|connection| connection.prepare_cached(sql!("tokens"))?.query_map([], token)?.collect())
    }

    fn revoke_token(&mut self, now: Timestamp, id: Id) -> Result<bool> {
        self.write_for_operator("revoke a token in", |connection| {
            changed(connection, sql!("token_revoke"), id, now)
        })
    }

    fn token_used(&mut self, now: Timestamp, id: Id) -> Result<()> {
        self.write("note the use of a token in", |connection| {
            changed(connection, sql!("token_used"), id, now).map(drop)
        })
    }
}

fn changed(connection: &Connection, statement: &str, id: Id, now: Timestamp) -> rusqlite::Result<bool> {
    Ok(connection.prepare_cached(statement)?.execute(params![id, now])? > 0)
}

fn token(row: &Row<'_>) -> rusqlite::Result<Token> {
    Ok(Token {
        id: row.get(0)?,
        name: row.get(1)?,
        fingerprint: Fingerprint(row.get(2)?),
        scopes: row.get(3)?,
        created_at: row.get(4)?,
        expires_at: row.get(5)?,
        revoked_at: row.get(6)?,
        used_at: row.get(7)?,
    })
}
