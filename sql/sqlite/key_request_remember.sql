INSERT OR REPLACE INTO idempotency_keys (key, recipient, notification_id, expires_at, sha256, last_id)
VALUES (?1, '', ?2, ?3, ?4, ?5)
