INSERT INTO batches (id, created_at, source, first_id, last_id) VALUES (?1, ?2, ?3, ?4, ?5)
