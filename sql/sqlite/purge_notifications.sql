DELETE FROM notifications WHERE id = ?1
