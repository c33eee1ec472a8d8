SELECT id, channel, batch_id, status FROM notifications WHERE id = ?1
