-- What a request was that had this key, and what it came to.
SELECT sha256, notification_id, last_id, created_at, batch_id FROM idempotency_keys
WHERE key = ?1 AND recipient = '' AND expires_at > ?2
