DELETE FROM attempts WHERE notification_id BETWEEN ?1 AND ?2
