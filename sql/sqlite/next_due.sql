-- The first one of each priority after ?2; four look-ups in the index of the queue.
SELECT min(at) FROM (
    SELECT min(next_attempt_at) AS at FROM notifications
        WHERE status = 'pending' AND channel = ?1 AND priority = 0 AND next_attempt_at > ?2
    UNION ALL SELECT min(next_attempt_at) FROM notifications
        WHERE status = 'pending' AND channel = ?1 AND priority = 1 AND next_attempt_at > ?2
    UNION ALL SELECT min(next_attempt_at) FROM notifications
        WHERE status = 'pending' AND channel = ?1 AND priority = 2 AND next_attempt_at > ?2
    UNION ALL SELECT min(next_attempt_at) FROM notifications
        WHERE status = 'pending' AND channel = ?1 AND priority = 3 AND next_attempt_at > ?2)
