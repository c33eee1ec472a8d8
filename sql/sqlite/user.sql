SELECT id, name, recipient, updated_at FROM users WHERE id = ?1
