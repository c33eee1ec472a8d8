//! Accepting notifications: one by one with their keys, or as a batch in constant memory.

use std::collections::HashMap;

use rusqlite::{CachedStatement, Connection, OptionalExtension, ToSql, params};

use super::claim::Opening;
use super::counters::Counters;
use super::sql::sql;
use super::{content, keys, read};
use crate::model::{Attachment, Id, NewNotification, Timestamp};
use crate::store::{BatchReceipt, Claim, Claimed, Enqueued, NewBatch, Next, Portion, Taken};

/// Accepts `new` in the transaction that is open.
pub(super) fn enqueue(
    connection: &Connection,
    now: Timestamp,
    key_expires_at: Timestamp,
    new: &[NewNotification],
) -> rusqlite::Result<Vec<Enqueued>> {
    let mut counters = Counters::at(now);
    let mut entry = Entry::new(connection, now, &mut counters)?;
    entry.key_expires_at = key_expires_at;
    let answers = new.iter().map(|one| entry.accept(one)).collect::<rusqlite::Result<_>>()?;
    drop(entry);
    counters.write(connection)?;
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
    let mut receipt = BatchReceipt { id: next_batch(connection)?, created: 0, known: 0 };
    let mut counters = Counters::at(now);
    let mut entry = Entry::new(connection, now, &mut counters)?;
    (entry.key_expires_at, entry.batch) = (batch.key_expires_at, Some(receipt.id));
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
    create_batch(connection, (receipt.id, now, &batch.source), ids.unzip())?;
    drop(entry);
    counters.write(connection)?;
    Ok(Loaded::Whole(receipt))
}

/// Accepts `portions` in the transaction that is open.
pub(super) fn portions(
    connection: &Connection,
    now: Timestamp,
    portions: &[Portion],
) -> rusqlite::Result<Vec<Taken>> {
    let mut counters = Counters::at(now);
    let taken = portions_for(connection, now, portions, &mut [], &mut counters)?;
    counters.write(connection)?;
    Ok(taken)
}

/// The same where somebody has room for some of it at once, which does not become pending first.
pub(super) fn portions_for(
    connection: &Connection,
    now: Timestamp,
    portions: &[Portion],
    openings: &mut [Opening<'_>],
    counters: &mut Counters,
) -> rusqlite::Result<Vec<Taken>> {
    let mut entry = Entry::new(connection, now, counters)?;
    entry.openings = openings;
    portions.iter().map(|portion| entry.take(portion)).collect()
}

fn next_batch(connection: &Connection) -> rusqlite::Result<Id> {
    let id = connection.prepare_cached(sql!("batch_next"))?.query_row([], |row| row.get(0)).optional()?;
    Ok(id.unwrap_or(1))
}

/// `first` and `last` are the ids of those that are new.
fn create_batch(
    connection: &Connection,
    (id, now, source): (Id, Timestamp, &str),
    (first, last): (Option<Id>, Option<Id>),
) -> rusqlite::Result<()> {
    let mut create = connection.prepare_cached(sql!("batch_create"))?;
    create.execute(params![id, now, source, first, last]).map(drop)
}

/// The keys of a request that were used before.
#[derive(Default)]
struct Known<'n> {
    /// Key and recipient, with the position of their first use in this request.
    here: HashMap<(&'n str, &'n str), usize>,
    /// How many of them will not be new.
    repeated: usize,
    /// Whether one of these was purged: it cannot say any more what it was.
    is_gone: bool,
    /// The batch of the first use of one.
    batch: Option<Id>,
}

/// What all that is accepted in one transaction has in common.
struct Entry<'c, 'o> {
    connection: &'c Connection,
    now: Timestamp,
    key_expires_at: Timestamp,
    batch: Option<Id>,
    insert: CachedStatement<'c>,
    /// Who has room for more.
    openings: &'c mut [Opening<'o>],
    counters: &'c mut Counters,
    forgets: keys::Forgets,
}

impl<'c> Entry<'c, '_> {
    fn new(connection: &'c Connection, now: Timestamp, counters: &'c mut Counters) -> rusqlite::Result<Self> {
        let insert = connection.prepare_cached(sql!("enqueue"))?;
        let forgets = keys::Forgets::default();
        Ok(Self {
            connection,
            now,
            key_expires_at: now,
            batch: None,
            insert,
            openings: &mut [],
            counters,
            forgets,
        })
    }

    /// Looks at every key first: a request that is refused has written nothing.
    fn take(&mut self, portion: &Portion) -> rusqlite::Result<Taken> {
        if let Some(request) = &portion.request
            && let Some(answer) = keys::request(self.connection, self.now, request)?
        {
            return Ok(answer);
        }
        let mut known = Known::default();
        for (position, new) in portion.new.iter().enumerate() {
            if let Some(conflict) = self.look(&mut known, &portion.new, position, new)? {
                return Ok(conflict);
            }
        }
        if let Some(request) = &portion.request
            && (known.is_gone
                || known.repeated < portion.new.len()
                    && (known.repeated > 0 || keys::is_used(self.connection, self.now, request)?))
        {
            return Ok(Taken::KeyUsed { since: None });
        }
        self.key_expires_at = portion.key_expires_at;
        self.batch = match (&portion.batch, known.repeated < portion.new.len()) {
            (Some(_), true) => Some(next_batch(self.connection)?),
            _ => None,
        };
        let new = portion.new.iter().map(|one| self.accept(one)).collect::<rusqlite::Result<Vec<_>>>()?;
        if let (Some(id), Some(source)) = (self.batch, &portion.batch) {
            let created = || new.iter().filter(|one| one.created).map(|one| one.id);
            let (first, last) = (created().next(), created().next_back());
            create_batch(self.connection, (id, self.now, source), (first, last))?;
        }
        // Where all were known, their own keys say so for as long as they would have.
        if let (Some(request), [first, .., last] | [first @ last]) = (&portion.request, new.as_slice())
            && first.created
        {
            // What is accepted in one transaction stands side by side.
            let came = keys::Came { first: first.id, last: last.id, batch: self.batch, at: self.now };
            keys::remember_request(self.connection, self.key_expires_at, request, &came)?;
            self.forgets.some(self.connection, self.now)?;
        }
        let batch = self.batch.take().or(known.batch.filter(|_| portion.batch.is_some()));
        Ok(Taken::Whole { batch, new })
    }

    /// Notes whether the key of `new` was used before; answers when it was used for something else.
    fn look<'n>(
        &self,
        known: &mut Known<'n>,
        all: &'n [NewNotification],
        position: usize,
        new: &'n NewNotification,
    ) -> rusqlite::Result<Option<Taken>> {
        let Some(key) = &new.idempotency_key else { return Ok(None) };
        if let Some(&first) = known.here.get(&(key.as_str(), new.content.recipient.as_str())) {
            known.repeated += 1;
            return Ok((!keys::is_same(&all[first], new)).then_some(Taken::Conflict { position, id: None }));
        }
        known.here.insert((key, &new.content.recipient), position);
        let Some(id) = self.find(key, new)? else { return Ok(None) };
        known.repeated += 1;
        let Some(old) = read::get(self.connection, id)? else {
            known.is_gone = true;
            return Ok(None);
        };
        known.batch = known.batch.or(old.summary.batch_id);
        let same = keys::is_stored(self.connection, &old, new)?;
        Ok((!same).then_some(Taken::Conflict { position, id: Some(id) }))
    }

    fn find(&self, key: &str, new: &NewNotification) -> rusqlite::Result<Option<Id>> {
        keys::find(self.connection, self.now, key, &new.content.recipient)
    }

    fn accept(&mut self, new: &NewNotification) -> rusqlite::Result<Enqueued> {
        let Self { connection, now, key_expires_at, .. } = *self;
        if let Some(key) = &new.idempotency_key
            && let Some(id) = self.find(key, new)?
        {
            return Ok(Enqueued { id, created: false });
        }
        let id = self.insert(new)?;
        if let Some(key) = &new.idempotency_key {
            keys::remember(connection, key_expires_at, (key, &new.content.recipient), id)?;
            self.forgets.some(connection, now)?;
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
        let parts = i64::try_from(parts).unwrap_or(i64::MAX);
        let due = new.not_before.map_or(self.now, |at| at.max(self.now));
        let row: [&dyn ToSql; 13] = [
            &new.user_id,
            &in_row,
            &new.channel,
            &content.recipient,
            &content.subject,
            &headers,
            &parts,
            &new.priority,
            &self.batch,
            &self.now,
            &new.not_before,
            &new.expires_at,
            &due,
        ];
        let claimed = |id, wish: &Claim| Claimed {
            id,
            attempt: 1,
            lease_token: wish.lease_token,
            channel: new.channel.clone(),
            batch_id: self.batch,
            user_id: new.user_id.clone(),
            priority: new.priority,
            created_at: self.now,
            expires_at: new.expires_at,
            retries: 0,
            crashes: 0,
            deferred_since: None,
            probes: false,
            content: content.clone(),
        };
        let id = match self.openings.iter_mut().find(|opening| opening.is_for(new, due)) {
            Some(opening) => opening.insert(&mut self.insert, &row, (due, new.priority), claimed)?,
            None => self.insert.insert(&row[..])?,
        };
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
