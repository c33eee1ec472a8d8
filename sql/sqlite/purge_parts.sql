DELETE FROM parts WHERE notification_id BETWEEN ?1 AND ?2
