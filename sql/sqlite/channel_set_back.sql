UPDATE channels SET seen_at = ?2 WHERE name = ?1
