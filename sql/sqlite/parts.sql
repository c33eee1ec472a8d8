SELECT position, name, media_type, content FROM parts WHERE notification_id = ?1 ORDER BY position
