SELECT ended_at, outcome, reason FROM attempts WHERE notification_id = ?1 AND number = ?2
