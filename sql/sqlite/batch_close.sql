UPDATE batches SET first_id = ?2, last_id = ?3 WHERE id = ?1
