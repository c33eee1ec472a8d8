INSERT INTO users (id, name, recipient, updated_at) VALUES (?1, ?2, ?3, ?4)
ON CONFLICT (id) DO UPDATE SET name = excluded.name, recipient = excluded.recipient, updated_at = excluded.updated_at
