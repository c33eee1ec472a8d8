UPDATE channels SET held_at = ?2, held_reason = ?3 WHERE name = ?1
