INSERT INTO passes (worker, started_at, ended_at, sent, deferred, dead, expired, held)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
