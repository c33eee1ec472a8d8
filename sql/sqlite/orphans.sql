SELECT id, attempts, lease_token, channel, batch_id, user_id, priority, created_at, expires_at, retries, crashes, deferred_since, claimed_at
FROM notifications WHERE status = 'sending' AND worker_id = ?1 ORDER BY id LIMIT ?2
