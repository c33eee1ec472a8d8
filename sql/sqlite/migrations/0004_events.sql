-- What happened, for those who watch: one row per transaction that did something to notifications, however many.
-- Acceptance is not in it: ids rise, and `enqueued` says up to which one they had been given out by then, so that both
-- make one order. id is the number of the row's last event since the store was made; the oldest rows go.
CREATE TABLE events (
    id       INTEGER PRIMARY KEY,
    at       INTEGER NOT NULL,
    enqueued INTEGER NOT NULL,
    count    INTEGER NOT NULL CHECK (count > 0),
    entries  BLOB NOT NULL
) STRICT;
