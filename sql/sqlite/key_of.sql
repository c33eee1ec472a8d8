-- The key that one notification came with, and until when it guards it.
SELECT key, expires_at FROM idempotency_keys WHERE notification_id = ?1 AND recipient <> '' LIMIT 1
