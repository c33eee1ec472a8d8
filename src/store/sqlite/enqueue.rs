//! Accepting notifications: one by one with their keys, or as a batch in constant memory.

use rusqlite::{CachedStatement, Connection, OptionalExtension, params};

use super::content;
use super::counters::Counters;
use super::sql::sql;
use crate::model::{Attachment, Id, NewNotification, Timestamp};
use crate::store::{BatchReceipt, Enqueued, NewBatch, Next};

/// How many expired keys each use of a key removes.
const KEYS_FORGOTTEN: i64 = 4;

/// Accepts `new` in the transaction that is open.
pub(super) fn enqueue(
    connection: &Connection,
    now: Timestamp,
    key_expires_at: Timestamp,
    new: &[NewNotification],
) -> rusqlite::Result<Vec<Enqueued>> {
    let mut entry = Entry::new(connection, now, key_expires_at, None)?;
    let answers = new.iter().map(|one| entry.accept(one)).collect::<rusqlite::Result<_>>()?;
    entry.counters.write(connection)?;
    Ok(answers)
}

/// What a batch came to inside its transaction.
pub(super) enum Loaded {
    /// To be committed.
    Whole(BatchReceipt),
    /// To be rolled back.
    Nothing,
}

/// Accepts what `rows` gives in the transaction that is open.
pub(super) fn load(
    connection: &Connection,
    now: Timestamp,
    batch: &NewBatch,
    rows: &mut dyn FnMut() -> Next,
) -> rusqlite::Result<Loaded> {
    // Its own row is written last: a page that is in the log already and changes again makes SQLite read all that
    // was written after it once more.
    let id = connection.prepare_cached(sql!("batch_next"))?.query_row([], |row| row.get(0)).optional()?;
    let mut receipt = BatchReceipt { id: id.unwrap_or(1), created: 0, known: 0 };
    let mut entry = Entry::new(connection, now, batch.key_expires_at, Some(receipt.id))?;
    let mut ids: Option<(Id, Id)> = None;
    loop {
        match rows() {
            Next::Row(row) => {
                let answer = entry.accept(&row)?;
                if answer.created {
                    receipt.created += 1;
                    ids = Some((ids.map_or(answer.id, |(first, _)| first), answer.id));
                } else {
                    receipt.known += 1;
                }
            }
            Next::Commit if receipt.created + receipt.known > 0 => break,
            Next::Commit | Next::RollBack => return Ok(Loaded::Nothing),
        }
    }
    let (first, last) = ids.unzip();
    connection.prepare_cached(sql!("batch_create"))?.execute(params![
        receipt.id,
        now,
        batch.source,
        first,
        last
    ])?;
    entry.counters.write(connection)?;
    Ok(Loaded::Whole(receipt))
}

/// What all that is accepted in one transaction has in common.
struct Entry<'c> {
    connection: &'c Connection,
    now: Timestamp,
    key_expires_at: Timestamp,
    batch: Option<Id>,
    insert: CachedStatement<'c>,
    counters: Counters,
}

impl<'c> Entry<'c> {
    fn new(
        connection: &'c Connection,
        now: Timestamp,
        key_expires_at: Timestamp,
        batch: Option<Id>,
    ) -> rusqlite::Result<Self> {
        let insert = connection.prepare_cached(sql!("enqueue"))?;
        Ok(Self { connection, now, key_expires_at, batch, insert, counters: Counters::at(now) })
    }

    fn accept(&mut self, new: &NewNotification) -> rusqlite::Result<Enqueued> {
        let Self { connection, now, key_expires_at, .. } = *self;
        if let Some(key) = &new.idempotency_key {
            let mut find = connection.prepare_cached(sql!("key_find"))?;
            let known =
                find.query_row(params![key, new.content.recipient, now], |row| row.get(0)).optional()?;
            if let Some(id) = known {
                return Ok(Enqueued { id, created: false });
            }
        }
        let id = self.insert(new)?;
        if let Some(key) = &new.idempotency_key {
            connection.prepare_cached(sql!("keys_forget"))?.execute(params![now, KEYS_FORGOTTEN])?;
            let mut remember = connection.prepare_cached(sql!("key_remember"))?;
            remember.execute(params![key, new.content.recipient, id, key_expires_at])?;
        }
        self.counters.accepted(&new.channel, self.batch, 1);
        Ok(Enqueued { id, created: true })
    }

    fn insert(&mut self, new: &NewNotification) -> rusqlite::Result<Id> {
        let content = &new.content;
        let headers = match content.headers.is_empty() {
            true => None,
            false => Some(
                serde_json::to_string(&content.headers)
                    .map_err(|error| rusqlite::Error::ToSqlConversionFailure(Box::new(error)))?,
            ),
        };
        let apart = content.message.len() > content::MESSAGE_IN_ROW;
        let in_row = if apart { "" } else { content.message.as_str() };
        let parts = usize::from(apart) + usize::from(content.html.is_some()) + content.attachments.len();
        let id = self.insert.insert(params![
            new.user_id,
            in_row,
            new.channel,
            content.recipient,
            content.subject,
            headers,
            i64::try_from(parts).unwrap_or(i64::MAX),
            new.priority,
            self.batch,
            self.now,
            new.not_before,
            new.expires_at,
            new.not_before.map_or(self.now, |at| at.max(self.now)),
        ])?;
        if apart {
            part(self.connection, id, content::MESSAGE, "", "text/plain", content.message.as_bytes())?;
        }
        if let Some(html) = &content.html {
            part(self.connection, id, content::HTML, "", "text/html", html.as_bytes())?;
        }
        for (position, Attachment { name, media_type, content }) in (1..).zip(&content.attachments) {
            part(self.connection, id, position, name, media_type, content)?;
        }
        Ok(id)
    }
}

fn part(
    connection: &Connection,
    id: Id,
    position: i64,
    name: &str,
    media_type: &str,
    content: &[u8],
) -> rusqlite::Result<()> {
    let mut insert = connection.prepare_cached(sql!("enqueue_part"))?;
    insert.execute(params![id, position, name, media_type, content])?;
    Ok(())
}
