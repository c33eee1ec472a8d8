SELECT notification_id FROM idempotency_keys WHERE key = ?1 AND recipient = ?2 AND expires_at > ?3
