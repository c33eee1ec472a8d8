UPDATE attempts SET late = ?3 WHERE notification_id = ?1 AND number = ?2 AND late IS NULL
