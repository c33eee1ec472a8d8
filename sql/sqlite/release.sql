UPDATE notifications SET status = 'pending', reason = NULL, deferred_since = NULL,
    next_attempt_at = max(?2, coalesce(not_before, ?2))
WHERE id = ?1
