//! Everything that a store can be asked, against what the rules say.

use std::collections::BTreeMap;

use notifyctl::model::{Cursor, EventFilter, Id, Status};
use notifyctl::store::{Attempt, Filter, Notification, Order, Page};

use super::machine::{Machine, said};
use super::{Agreed, agree};

impl Machine<'_> {
    /// Everything that can be read, as the last step has left it, by another connection than the one that wrote.
    pub fn compare(&self) -> Agreed {
        let page = Page { order: Order::OldestFirst, after: None, limit: Page::LIMIT };
        let listed = said(self.desk.list(&Filter::default(), &page))?;
        let rows: Vec<_> = self.model.rows.values().map(|row| row.shown.summary.clone()).collect();
        agree("list", &listed, &rows)?;
        agree("counts", &said(self.desk.counts())?, &self.model.counts())?;
        agree("due", &said(self.desk.due(self.model.now))?, &self.model.due())?;
        for state in said(self.desk.channels(self.model.now))? {
            let Some(channel) = self.model.channels.get(&state.channel) else {
                return Err(format!("channel {} came from nowhere", state.channel));
            };
            for (used, shown) in channel.used.iter().zip(&state.rates) {
                let (least, most) = used.free(self.model.now);
                let free = shown.rate.limit().saturating_sub(shown.used);
                if shown.rate != used.rate() || free < least || free > most {
                    return Err(format!("{} of {} are free, not {least} to {most}", free, shown.rate));
                }
            }
            agree(
                "a channel",
                &(state.held, state.breaker),
                &(channel.held.clone(), channel.breaker.clone()),
            )?;
        }
        for id in self.model.batches.keys() {
            agree("a batch", &said(self.desk.batch(*id))?, &Some(self.model.batch(*id)))?;
        }
        for id in &self.model.ids {
            self.compare_one(*id)?;
        }
        Ok(())
    }

    fn compare_one(&self, id: Id) -> Agreed {
        let found = said(self.desk.get(id))?;
        let attempts = said(self.desk.attempts(id))?;
        let both = found.clone().map(|one| (one, attempts.clone()));
        agree("both at once", &said(self.desk.history(id))?, &both)?;
        let Some(row) = self.model.rows.get(&id) else {
            agree("a purged one", &found, &None)?;
            return agree("its attempts", &attempts, &Vec::<Attempt>::new());
        };
        let key = found.as_ref().and_then(|one| one.idempotency_key.clone());
        match self.model.key_of(id) {
            Some((must, true)) => agree("the key", &key.as_deref(), &Some(must))?,
            Some((may, false)) if key.is_some() => agree("the key", &key.as_deref(), &Some(may))?,
            Some(_) => {}
            None => agree("the key", &key, &None)?,
        }
        let found = found.map(|one| Notification { idempotency_key: None, key_expires_at: None, ..one });
        agree("a notification", &found.as_ref(), &Some(&row.shown))?;
        agree("its attempts", &attempts, &row.attempts())
    }

    /// Who has watched from the beginning, a few events at a time, has the same picture as who looks.
    pub fn watched(&self) -> Agreed {
        let mut picture: BTreeMap<Id, Status> = BTreeMap::new();
        let mut after = Cursor::default();
        loop {
            let told = said(self.desk.events(after, &EventFilter::default(), 3))?;
            agree("a gap", &told.gap, &None)?;
            for event in told.events {
                let (Some(id), Some(status)) = (event.id, event.status) else { continue };
                if let Some(before) = picture.insert(id, status)
                    && !before.may_become(status)
                {
                    return Err(format!("watchers are told that {id} went from {before} to {status}"));
                }
            }
            after = told.next;
            if !told.more {
                break;
            }
        }
        let stands = |(id, row): (&Id, &super::row::Row)| (*id, row.shown.summary.status);
        agree("what watchers know", &picture, &self.model.rows.iter().map(stands).collect())
    }

    /// What `db check` proves.
    pub fn sound(&self) -> Agreed {
        agree("db check", &said(self.desk.check())?, &Vec::new())
    }
}
