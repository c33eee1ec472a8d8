-- The key of a whole request stands beside those of its notifications, with an empty recipient, which no notification has:
-- the SHA-256 of what was asked for, the first and the last notification that it came to, their batch, and when that was. What
-- is purged is gone from its table, and its answer is due all the same.
ALTER TABLE idempotency_keys ADD COLUMN sha256 BLOB;
ALTER TABLE idempotency_keys ADD COLUMN last_id INTEGER;
ALTER TABLE idempotency_keys ADD COLUMN batch_id INTEGER;
ALTER TABLE idempotency_keys ADD COLUMN created_at INTEGER;
-- Whether a key is in use: that of a whole list of recipients, and they expired, would be read to its end.
CREATE INDEX idempotency_keys_used ON idempotency_keys (key, expires_at);
