INSERT OR IGNORE INTO workers (id, name, started_at) VALUES (?1, ?2, ?3)
