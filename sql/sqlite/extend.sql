UPDATE notifications SET lease_expires_at = ?2 WHERE status = 'sending' AND worker_id = ?1
