-- The key of a whole request stands beside those of its notifications, with an empty recipient, which no notification has:
-- the SHA-256 of what was asked for, and the first and the last notification that it came to.
ALTER TABLE idempotency_keys ADD COLUMN sha256 BLOB;
ALTER TABLE idempotency_keys ADD COLUMN last_id INTEGER;
