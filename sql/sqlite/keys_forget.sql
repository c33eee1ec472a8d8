-- A few at a time, on the way: each use of a key pays for the removal of a few expired ones.
DELETE FROM idempotency_keys WHERE (key, recipient) IN
    (SELECT key, recipient FROM idempotency_keys WHERE expires_at <= ?1 ORDER BY expires_at LIMIT ?2)
