SELECT id, name, sha256, scopes, created_at, expires_at, revoked_at, used_at FROM tokens WHERE id = ?1
