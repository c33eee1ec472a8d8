SELECT attempts + 1, batch_id, user_id, priority, created_at, expires_at, retries, crashes, deferred_since,
       recipient, subject, message, headers, parts
FROM notifications WHERE id = ?1
