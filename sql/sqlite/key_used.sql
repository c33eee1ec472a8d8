-- Whether anything has one of these keys.
SELECT EXISTS (SELECT 1 FROM idempotency_keys WHERE key IN (?1, ?2) AND expires_at > ?3)
