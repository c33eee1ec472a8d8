INSERT INTO batches (created_at, source) VALUES (?1, ?2)
