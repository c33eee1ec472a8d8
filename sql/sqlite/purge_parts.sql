DELETE FROM parts WHERE notification_id = ?1
