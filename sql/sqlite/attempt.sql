INSERT INTO attempts (notification_id, number, worker_id, started_at, ended_at, outcome, reason, detail)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
