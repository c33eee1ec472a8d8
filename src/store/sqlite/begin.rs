//! Beginning a write: at once, or after those who write now.

use std::time::{Duration, Instant};

use rusqlite::{Transaction, TransactionBehavior};

use super::{Sqlite, loading};

impl Sqlite {
    /// Begins a write. SQLite's own waiting sleeps ever longer, which starves the unlucky; ours stays short, is
    /// spread, and knows a line.
    pub(super) fn begin(&self) -> rusqlite::Result<Transaction<'_>> {
        self.place.refuse_moved(&self.path)?;
        self.connection.busy_timeout(Duration::ZERO)?;
        self.line.give_way();
        let started = Instant::now();
        let begun = loop {
            // Asked before the try: a batch that ends in between has let us in.
            let waits = self.waits(started.elapsed());
            match Transaction::new_unchecked(&self.connection, TransactionBehavior::Immediate) {
                Err(error) if waits && is_busy(&error) => {
                    self.line.wait(started.elapsed());
                }
                begun => break begun,
            }
        };
        self.line.leave();
        self.connection.busy_timeout(self.busy_timeout)?;
        begun
    }

    /// Whether one who has waited so long waits on: behind a batch for longer.
    fn waits(&self, waited: Duration) -> bool {
        waited < self.busy_timeout
            || waited < self.busy_timeout * loading::PATIENCE && loading::is_under_way(&self.path)
    }
}

fn is_busy(error: &rusqlite::Error) -> bool {
    matches!(
        error.sqlite_error_code(),
        Some(rusqlite::ErrorCode::DatabaseBusy | rusqlite::ErrorCode::DatabaseLocked)
    )
}
