-- The key that one notification came with.
SELECT key FROM idempotency_keys WHERE notification_id = ?1 AND recipient <> '' LIMIT 1
