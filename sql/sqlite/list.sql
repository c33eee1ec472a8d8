-- The places in braces are filled in with conditions on ?1 … ?8 and with a direction, never with a value.
SELECT id, batch_id, user_id, channel, status, priority, recipient, subject, created_at,
       next_attempt_at, expires_at, settled_at, attempts, reason
FROM notifications WHERE {where} ORDER BY id {order} LIMIT ?8
