DELETE FROM attempts WHERE notification_id = ?1
