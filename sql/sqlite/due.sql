-- Four look-ups a channel in the index of the queue; nothing is counted.
SELECT name,
    (SELECT min(at) FROM (
        SELECT min(next_attempt_at) AS at FROM notifications WHERE status = 'pending' AND channel = name AND priority = 0
        UNION ALL SELECT min(next_attempt_at) FROM notifications WHERE status = 'pending' AND channel = name AND priority = 1
        UNION ALL SELECT min(next_attempt_at) FROM notifications WHERE status = 'pending' AND channel = name AND priority = 2
        UNION ALL SELECT min(next_attempt_at) FROM notifications WHERE status = 'pending' AND channel = name AND priority = 3))
FROM channels WHERE pending > 0 ORDER BY name
