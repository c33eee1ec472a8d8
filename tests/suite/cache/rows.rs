//! A store in memory that remembers when each change was committed, so that each answer can be judged.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use notifyctl::cache::{Answer, Changes, From, Keep, Key, Loaded, Source};
use notifyctl::model::{Id, Mark, Touched};
use tokio::time::Instant;

/// Rows with a version each, and every change that there was.
#[derive(Clone, Default)]
pub struct Rows(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    /// Per row: its versions with the moments since when they hold.
    rows: HashMap<Id, Vec<(u64, Instant)>>,
    /// What changed, from the change after `forgotten` on.
    changes: Vec<Id>,
    forgotten: u64,
    loads: u64,
    purges: u64,
    /// How long a load takes after the row was read.
    slow: Duration,
    /// For how long an answer may be kept; as what is settled unless it is said.
    keep: Option<Keep>,
}

impl Rows {
    /// Commits a new version of a row.
    pub fn write(&self, id: Id) -> u64 {
        let mut state = self.0.lock().expect("a lock");
        state.changes.push(id);
        let rows = state.rows.entry(id).or_default();
        let version = rows.len() as u64 + 1;
        rows.push((version, Instant::now()));
        version
    }

    /// Changes that lie so far back are known no longer.
    pub fn forget(&self) {
        let mut state = self.0.lock().expect("a lock");
        state.forgotten += state.changes.len() as u64;
        state.changes.clear();
    }

    /// A row goes, and no change tells of it.
    pub fn purge(&self, id: Id) {
        let mut state = self.0.lock().expect("a lock");
        state.rows.remove(&id);
        state.purges += 1;
    }

    pub fn loads(&self) -> u64 {
        self.0.lock().expect("a lock").loads
    }

    pub fn slow(&self, by: Duration) {
        self.0.lock().expect("a lock").slow = by;
    }

    pub fn keep(&self, keep: Keep) {
        self.0.lock().expect("a lock").keep = Some(keep);
    }

    /// The version that held at `at`.
    pub fn version_at(&self, id: Id, at: Instant) -> u64 {
        let state = self.0.lock().expect("a lock");
        let versions = state.rows.get(&id).map(Vec::as_slice).unwrap_or_default();
        versions.iter().rev().find(|(_, since)| *since <= at).map_or(0, |(version, _)| *version)
    }

    /// Judges an answer to a question that was asked at `asked`: nothing in it is older than it says.
    #[track_caller]
    pub fn judge(&self, id: Id, asked: Instant, answer: &Answer) {
        let age = match answer.from {
            From::Hit(age) | From::Shared(age) => age,
            From::Miss | From::Bypass => Duration::ZERO,
        };
        let must = self.version_at(id, asked - age);
        let got = version(id, answer);
        assert!(got >= must, "row {id}: version {got} ({}), where {must} stood {age:?} before", answer.from);
    }
}

/// The version in an answer about `id`.
#[track_caller]
pub fn version(id: Id, answer: &Answer) -> u64 {
    let text = std::str::from_utf8(&answer.body).expect("text");
    let (of, version) = text.split_once(':').expect("an id and a version");
    assert_eq!(of, id.to_string(), "an answer to another question");
    version.trim().parse().expect("a version")
}

impl Source for Rows {
    type Error = std::convert::Infallible;

    async fn load(&self, key: Key) -> Result<Option<Loaded>, Self::Error> {
        let (Key::Notification(id) | Key::Masked(id)) = key else { return Ok(None) };
        let (version, slow, keep) = {
            let mut state = self.0.lock().expect("a lock");
            state.loads += 1;
            (state.rows.get(&id).map(Vec::len), state.slow, state.keep.unwrap_or(Keep::Settled))
        };
        if !slow.is_zero() {
            tokio::time::sleep(slow).await;
        }
        // As long as a small notification is.
        let body = |version| format!("{id}:{version}{:600}", "").into();
        Ok(version.map(|version| Loaded { body: body(version), keep }))
    }
}

impl Changes for Rows {
    async fn last(&mut self) -> Option<Mark> {
        let state = self.0.lock().expect("a lock");
        Some(Mark { change: state.forgotten + state.changes.len() as u64, epoch: state.purges })
    }

    async fn after(&mut self, after: u64) -> Option<Touched> {
        let state = self.0.lock().expect("a lock");
        let through = state.forgotten + state.changes.len() as u64;
        let ids = after.checked_sub(state.forgotten).map(|from| state.changes[from as usize..].to_vec());
        Some(Touched { through, ids })
    }
}
