-- Times are UTC milliseconds. Only live rows are indexed, and nothing random over all of history.
-- Conditions that are looked at for every row that changes are written with OR: for IN with more than two
-- values SQLite builds and frees a table of its own each time, which cost more than the change itself.

CREATE TABLE store (
    one            INTEGER PRIMARY KEY CHECK (one = 1),
    store_id       TEXT NOT NULL CHECK (length(store_id) = 16),
    message_domain TEXT NOT NULL,
    created_at     INTEGER NOT NULL
) STRICT;

CREATE TABLE users (
    id         TEXT PRIMARY KEY,
    name       TEXT,
    recipient  TEXT NOT NULL,
    updated_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE notifications (
    id               INTEGER PRIMARY KEY AUTOINCREMENT,
    user_id          TEXT,
    message          TEXT NOT NULL,
    status           TEXT NOT NULL
                     CHECK (status = 'pending' OR status = 'sending' OR status = 'sent' OR status = 'dead'
                            OR status = 'held' OR status = 'expired' OR status = 'cancelled'),
    channel          TEXT NOT NULL,
    recipient        TEXT NOT NULL,
    subject          TEXT,
    headers          TEXT,              -- JSON: [[name, value], …]
    parts            INTEGER NOT NULL,  -- rows in parts: the HTML and the attachments
    priority         INTEGER NOT NULL CHECK (priority BETWEEN 0 AND 3),
    batch_id         INTEGER,
    created_at       INTEGER NOT NULL,
    not_before       INTEGER,
    expires_at       INTEGER,
    next_attempt_at  INTEGER NOT NULL,
    settled_at       INTEGER
                     CHECK ((settled_at IS NOT NULL)
                            = (status = 'sent' OR status = 'dead' OR status = 'expired' OR status = 'cancelled')),
    reason           TEXT,
    attempts         INTEGER NOT NULL DEFAULT 0,
    retries          INTEGER NOT NULL DEFAULT 0,
    crashes          INTEGER NOT NULL DEFAULT 0,
    claimed_at       INTEGER,
    worker_id        INTEGER,
    lease_token      INTEGER CHECK ((lease_token IS NOT NULL) = (status = 'sending')),
    lease_expires_at INTEGER
) STRICT;

-- The queue: claims read the head of each (channel, priority, retried or not) up to now.
CREATE INDEX notifications_due ON notifications (channel, priority, (retries > 0), next_attempt_at)
    WHERE status = 'pending';
-- Who has what; a handful of rows.
CREATE INDEX notifications_sending ON notifications (worker_id) WHERE status = 'sending';
-- What an operator looks for and selects.
CREATE INDEX notifications_stopped ON notifications (status)
    WHERE status = 'held' OR status = 'dead' OR status = 'expired' OR status = 'cancelled';
CREATE INDEX notifications_expiring ON notifications (expires_at)
    WHERE expires_at IS NOT NULL AND (status = 'pending' OR status = 'held');

-- What is heavy and rare; kept apart so that claiming and settling do not rewrite it.
CREATE TABLE parts (
    notification_id INTEGER NOT NULL,
    position        INTEGER NOT NULL,  -- 0 is the HTML form of the message
    name            TEXT NOT NULL,
    media_type      TEXT NOT NULL,
    content         BLOB NOT NULL,
    PRIMARY KEY (notification_id, position)
) STRICT;

-- One row per attempt that ended, or whose worker died. The one under way is the notification's own row.
CREATE TABLE attempts (
    notification_id INTEGER NOT NULL,
    number          INTEGER NOT NULL CHECK (number > 0),
    worker_id       INTEGER NOT NULL,
    started_at      INTEGER NOT NULL,
    ended_at        INTEGER NOT NULL,
    outcome         TEXT NOT NULL CHECK (outcome = 'sent' OR outcome = 'deferred' OR outcome = 'rejected' OR outcome = 'unknown'),
    reason          TEXT NOT NULL,
    detail          TEXT NOT NULL,
    late            TEXT,              -- what came after the lease was lost; evidence, without effect
    PRIMARY KEY (notification_id, number)
) STRICT, WITHOUT ROWID;

CREATE TABLE workers (
    id         INTEGER PRIMARY KEY,
    name       TEXT NOT NULL,
    started_at INTEGER NOT NULL
) STRICT;

-- A batch is one transaction, so its notifications stand side by side: their first and last id are all the index it needs.
CREATE TABLE batches (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    created_at INTEGER NOT NULL,
    source     TEXT NOT NULL,
    first_id   INTEGER,
    last_id    INTEGER,
    accepted   INTEGER NOT NULL DEFAULT 0,
    purged     INTEGER NOT NULL DEFAULT 0,
    pending    INTEGER NOT NULL DEFAULT 0,
    held       INTEGER NOT NULL DEFAULT 0,
    sending    INTEGER NOT NULL DEFAULT 0,
    sent       INTEGER NOT NULL DEFAULT 0,
    dead       INTEGER NOT NULL DEFAULT 0,
    expired    INTEGER NOT NULL DEFAULT 0,
    cancelled  INTEGER NOT NULL DEFAULT 0
) STRICT;

-- Counts kept by the transaction that changes what they count, and the trouble a channel is in.
CREATE TABLE channels (
    name          TEXT PRIMARY KEY,
    accepted      INTEGER NOT NULL DEFAULT 0,
    purged        INTEGER NOT NULL DEFAULT 0,
    pending       INTEGER NOT NULL DEFAULT 0,
    held          INTEGER NOT NULL DEFAULT 0,
    sending       INTEGER NOT NULL DEFAULT 0,
    sent          INTEGER NOT NULL DEFAULT 0,
    dead          INTEGER NOT NULL DEFAULT 0,
    expired       INTEGER NOT NULL DEFAULT 0,
    cancelled     INTEGER NOT NULL DEFAULT 0,
    held_at       INTEGER,
    held_reason   TEXT,
    failures      INTEGER NOT NULL DEFAULT 0,
    paused_until  INTEGER,
    paused_reason TEXT,
    paused_detail TEXT,
    probing_until INTEGER
) STRICT, WITHOUT ROWID;

-- The attempts that still count against a rate: JSON [[end of slice, attempts], …].
CREATE TABLE rate_windows (
    channel TEXT NOT NULL,
    rate    TEXT NOT NULL,
    entries TEXT NOT NULL,
    PRIMARY KEY (channel, rate)
) STRICT, WITHOUT ROWID;

-- A key outlives its notification until its window ends.
CREATE TABLE idempotency_keys (
    key             TEXT NOT NULL,
    recipient       TEXT NOT NULL,
    notification_id INTEGER NOT NULL,
    expires_at      INTEGER NOT NULL,
    PRIMARY KEY (key, recipient)
) STRICT, WITHOUT ROWID;
CREATE INDEX idempotency_keys_expiring ON idempotency_keys (expires_at);

CREATE TABLE passes (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    worker     TEXT NOT NULL,
    started_at INTEGER NOT NULL,
    ended_at   INTEGER NOT NULL,
    sent       INTEGER NOT NULL,
    deferred   INTEGER NOT NULL,
    dead       INTEGER NOT NULL,
    expired    INTEGER NOT NULL,
    held       INTEGER NOT NULL
) STRICT;
