SELECT created_at FROM notifications WHERE id >= ?1 ORDER BY id LIMIT 1
