SELECT channel, recipient, batch_id FROM notifications WHERE id = ?1
