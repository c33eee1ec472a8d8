-- Eight look-ups a channel in the index of the queue; nothing is counted.
WITH queues (priority, retried) AS (VALUES (0, 0), (0, 1), (1, 0), (1, 1), (2, 0), (2, 1), (3, 0), (3, 1))
SELECT name, (
    SELECT min((
        SELECT min(next_attempt_at) FROM notifications
        WHERE status = 'pending' AND channel = name AND priority = queues.priority AND (retries > 0) = queues.retried))
    FROM queues)
FROM channels WHERE pending > 0 ORDER BY name
