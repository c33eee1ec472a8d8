-- Rows by rising id: settled_at is never before created_at, and created_at rises with id.
SELECT id, channel, batch_id, status, created_at, settled_at FROM notifications WHERE id >= ?1 ORDER BY id LIMIT ?2
