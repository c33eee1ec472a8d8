INSERT INTO notifications (user_id, message, status, channel, recipient, subject, headers, parts, priority,
                           batch_id, created_at, not_before, expires_at, next_attempt_at)
VALUES (?1, ?2, 'pending', ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)
