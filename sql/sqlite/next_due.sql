-- The first one of each queue of a channel after ?2; eight look-ups in the index.
WITH queues (priority, retried) AS (VALUES (0, 0), (0, 1), (1, 0), (1, 1), (2, 0), (2, 1), (3, 0), (3, 1))
SELECT min((
    SELECT min(next_attempt_at) FROM notifications
    WHERE status = 'pending' AND channel = ?1 AND priority = queues.priority AND (retries > 0) = queues.retried
        AND next_attempt_at > ?2))
FROM queues
