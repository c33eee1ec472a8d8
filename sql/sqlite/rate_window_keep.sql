INSERT OR REPLACE INTO rate_windows (channel, rate, entries) VALUES (?1, ?2, ?3)
