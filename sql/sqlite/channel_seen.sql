SELECT seen_at FROM channels WHERE name = ?1
