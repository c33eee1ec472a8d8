-- The fence: id, attempt and token must all still be those of the claim. No attempt begins before the first of those that
-- deferred it, but by a clock that was set back; one of which only the worker's end is known (no ?10) has deferred nothing.
UPDATE notifications SET
    status = ?4, reason = ?5, next_attempt_at = ?6, settled_at = ?7, retries = ?8, crashes = ?9,
    deferred_since = CASE WHEN ?4 = 'pending' THEN coalesce(min(deferred_since, ?10), deferred_since, ?10) END,
    claimed_at = NULL, worker_id = NULL, lease_token = NULL, lease_expires_at = NULL
WHERE id = ?1 AND attempts = ?2 AND lease_token = ?3 AND status = 'sending'
