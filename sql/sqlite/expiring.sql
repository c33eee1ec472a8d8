SELECT id, channel, batch_id, status FROM notifications
WHERE expires_at IS NOT NULL AND (status = 'pending' OR status = 'held') AND expires_at <= ?1
ORDER BY expires_at LIMIT ?2
