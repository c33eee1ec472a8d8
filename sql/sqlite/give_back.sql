UPDATE notifications SET
    status = 'pending', attempts = attempts - 1,
    claimed_at = NULL, worker_id = NULL, lease_token = NULL, lease_expires_at = NULL
WHERE id = ?1 AND attempts = ?2 AND lease_token = ?3 AND status = 'sending'
