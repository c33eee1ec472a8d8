-- The fence: id, attempt and token must all still be those of the claim.
UPDATE notifications SET
    status = ?4, reason = ?5, next_attempt_at = ?6, settled_at = ?7, retries = ?8, crashes = ?9,
    claimed_at = NULL, worker_id = NULL, lease_token = NULL, lease_expires_at = NULL
WHERE id = ?1 AND attempts = ?2 AND lease_token = ?3 AND status = 'sending'
