-- Looks through the keys of the window for one notification; only `show` asks.
SELECT key FROM idempotency_keys WHERE notification_id = ?1 LIMIT 1
