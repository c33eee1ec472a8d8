-- Some at a time: new keys pay for the removal of a few expired ones, a purge removes the rest.
DELETE FROM idempotency_keys WHERE (key, recipient) IN
    (SELECT key, recipient FROM idempotency_keys WHERE expires_at <= ?1 ORDER BY expires_at LIMIT ?2)
