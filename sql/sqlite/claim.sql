-- The head of each priority up to now, merged by age with a handicap per priority (model::priority), then taken.
-- Expired ones stay where they are; expiring is a step of its own.
UPDATE notifications SET
    status = 'sending', attempts = attempts + 1, claimed_at = ?2, worker_id = ?4, lease_token = ?5, lease_expires_at = ?6
WHERE id IN (
    SELECT id FROM (
        SELECT * FROM (SELECT id, next_attempt_at AS rank FROM notifications
            WHERE status = 'pending' AND channel = ?1 AND priority = 0 AND next_attempt_at <= ?2
            AND (expires_at IS NULL OR expires_at > ?2) ORDER BY next_attempt_at LIMIT ?3)
        UNION ALL
        SELECT * FROM (SELECT id, next_attempt_at + ?7 AS rank FROM notifications
            WHERE status = 'pending' AND channel = ?1 AND priority = 1 AND next_attempt_at <= ?2
            AND (expires_at IS NULL OR expires_at > ?2) ORDER BY next_attempt_at LIMIT ?3)
        UNION ALL
        SELECT * FROM (SELECT id, next_attempt_at + ?8 AS rank FROM notifications
            WHERE status = 'pending' AND channel = ?1 AND priority = 2 AND next_attempt_at <= ?2
            AND (expires_at IS NULL OR expires_at > ?2) ORDER BY next_attempt_at LIMIT ?3)
        UNION ALL
        SELECT * FROM (SELECT id, next_attempt_at + ?9 AS rank FROM notifications
            WHERE status = 'pending' AND channel = ?1 AND priority = 3 AND next_attempt_at <= ?2
            AND (expires_at IS NULL OR expires_at > ?2) ORDER BY next_attempt_at LIMIT ?3)
    ) ORDER BY rank, id LIMIT ?3)
RETURNING id, attempts, batch_id, user_id, priority, created_at, expires_at, retries, crashes,
          recipient, subject, message, headers, parts, next_attempt_at
