-- The head of one queue of a channel up to now. Expired ones stay where they are; expiring is a step of its own.
SELECT id, next_attempt_at FROM notifications
WHERE status = 'pending' AND channel = ?1 AND priority = ?2 AND (retries > 0) = ?3 AND next_attempt_at <= ?4
    AND (expires_at IS NULL OR expires_at > ?4)
ORDER BY next_attempt_at LIMIT ?5
