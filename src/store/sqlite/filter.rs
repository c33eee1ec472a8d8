//! A filter as conditions: the text names columns and places, the values never enter it.

use rusqlite::ToSql;
use rusqlite::types::Value;

use crate::model::{Id, Status, in_ascii};
use crate::store::{Filter, Order};

/// The conditions of a query, and its values for the places `?1` … `?9`.
pub(super) struct Conditions {
    text: String,
    values: Vec<(&'static str, Value)>,
}

impl Conditions {
    /// What `filter` says, behind `after`, at most `limit` rows.
    pub(super) fn new(filter: &Filter, after: Option<(Order, Id)>, limit: usize) -> Self {
        let mut conditions = Self { text: "1".into(), values: Vec::new() };
        conditions.statuses(&filter.statuses);
        conditions.add("channel = ?1", "?1", filter.channel.clone().map(Value::from));
        conditions.add(
            "id BETWEEN (SELECT first_id FROM batches WHERE batches.id = ?2) \
             AND (SELECT last_id FROM batches WHERE batches.id = ?2) AND batch_id = ?2",
            "?2",
            filter.batch_id.map(Value::from),
        );
        conditions.add("user_id = ?3", "?3", filter.user_id.clone().map(Value::from));
        // A channel of mail keeps the domain in ASCII, others keep what they are given.
        match filter.recipient.as_deref().and_then(in_ascii) {
            Some(ascii) => {
                conditions.values.push(("?9", ascii.into()));
                conditions.add("recipient IN (?4, ?9)", "?4", filter.recipient.clone().map(Value::from));
            }
            None => conditions.add("recipient = ?4", "?4", filter.recipient.clone().map(Value::from)),
        }
        conditions.add("created_at >= ?5", "?5", filter.since.map(|at| at.0.into()));
        conditions.add("created_at < ?6", "?6", filter.until.map(|at| at.0.into()));
        if filter.retrying {
            // The condition of the index of what is pending, which knows the retries: nothing settled is looked at.
            conditions.text.push_str(
                " AND id IN (SELECT id FROM notifications WHERE status = 'pending' AND (retries > 0))",
            );
        }
        match after {
            Some((Order::NewestFirst, id)) => conditions.add("id < ?7", "?7", Some(id.into())),
            Some((Order::OldestFirst, id)) => conditions.add("id > ?7", "?7", Some(id.into())),
            None => {}
        }
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        conditions.values.push(("?8", limit.into()));
        conditions
    }

    pub(super) fn text(&self) -> &str {
        &self.text
    }

    pub(super) fn values(&self) -> Vec<(&'static str, &dyn ToSql)> {
        self.values.iter().map(|(place, value)| (*place, value as &dyn ToSql)).collect()
    }

    fn add(&mut self, condition: &str, place: &'static str, value: Option<Value>) {
        if let Some(value) = value {
            self.text.push_str(" AND ");
            self.text.push_str(condition);
            self.values.push((place, value));
        }
    }

    /// Statuses stand in the text, as our own words: only so does SQLite see that a partial index fits.
    fn statuses(&mut self, statuses: &[Status]) {
        const STOPPED: [Status; 4] = [Status::Held, Status::Dead, Status::Expired, Status::Cancelled];
        if let [one] = statuses {
            self.text = format!("status = '{one}'");
        } else if !statuses.is_empty() {
            let words: Vec<String> = statuses.iter().map(|status| format!("'{status}'")).collect();
            self.text = format!("status IN ({})", words.join(", "));
        }
        if !statuses.is_empty() && statuses.iter().all(|status| STOPPED.contains(status)) {
            // The condition of the index, to the letter.
            self.text.push_str(
                " AND (status = 'held' OR status = 'dead' OR status = 'expired' OR status = 'cancelled')",
            );
        }
    }
}
