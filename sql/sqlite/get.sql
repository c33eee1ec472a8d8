SELECT n.id, n.batch_id, n.user_id, n.channel, n.status, n.priority, n.recipient, n.subject, n.created_at,
       n.next_attempt_at, n.expires_at, n.settled_at, n.attempts, n.reason,
       n.message, n.headers, n.parts, n.not_before, n.retries, n.crashes, n.lease_expires_at,
       (SELECT name FROM workers WHERE id = n.worker_id)
FROM notifications n WHERE n.id = ?1
