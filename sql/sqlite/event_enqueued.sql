SELECT id, created_at, channel, recipient, batch_id FROM notifications WHERE id > ?1 AND id <= ?2 ORDER BY id
