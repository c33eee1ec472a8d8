-- Whether anything has one of these keys: that of a request, or that of its first row, unless this is a request's own.
SELECT EXISTS (SELECT 1 FROM idempotency_keys WHERE key = ?1 AND expires_at > ?3)
    OR EXISTS (SELECT 1 FROM idempotency_keys WHERE key = ?2 AND expires_at > ?3)
   AND NOT EXISTS (SELECT 1 FROM idempotency_keys WHERE key = ?2 AND recipient = '' AND expires_at > ?3)
