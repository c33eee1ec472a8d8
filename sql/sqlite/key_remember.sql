INSERT OR REPLACE INTO idempotency_keys (key, recipient, notification_id, expires_at) VALUES (?1, ?2, ?3, ?4)
