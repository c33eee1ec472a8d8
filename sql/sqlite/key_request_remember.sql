INSERT OR REPLACE INTO idempotency_keys (key, recipient, notification_id, expires_at, sha256, last_id, batch_id, created_at)
VALUES (?1, '', ?2, ?3, ?4, ?5, ?6, ?7)
