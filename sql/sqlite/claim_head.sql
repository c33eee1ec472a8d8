-- The head of one priority up to now. Expired ones stay where they are; expiring is a step of its own.
SELECT id, next_attempt_at FROM notifications
WHERE status = 'pending' AND channel = ?1 AND priority = ?2 AND next_attempt_at <= ?3
    AND (expires_at IS NULL OR expires_at > ?3)
ORDER BY next_attempt_at LIMIT ?4
