INSERT OR IGNORE INTO channels (name) VALUES (?1)
