INSERT INTO parts (notification_id, position, name, media_type, content) VALUES (?1, ?2, ?3, ?4, ?5)
