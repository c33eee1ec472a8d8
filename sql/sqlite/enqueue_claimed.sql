-- The first attempt is claimed with it: what `enqueue` and `claim` write, without the way through the queue.
INSERT INTO notifications (user_id, message, status, channel, recipient, subject, headers, parts, priority,
                           batch_id, created_at, not_before, expires_at, next_attempt_at,
                           attempts, claimed_at, worker_id, lease_token, lease_expires_at)
VALUES (?1, ?2, 'sending', ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, 1, ?14, ?15, ?16, ?17)
