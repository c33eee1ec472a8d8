-- A fresh start: the whole retry schedule again, and no last moment, which may have passed.
UPDATE notifications SET status = 'pending', reason = NULL, settled_at = NULL, expires_at = NULL,
    next_attempt_at = max(?2, coalesce(not_before, ?2)), retries = 0, crashes = 0, deferred_since = NULL
WHERE id = ?1
