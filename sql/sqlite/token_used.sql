-- Two processes may tell of uses at the same time: the latest stands.
UPDATE tokens SET used_at = ?2 WHERE id = ?1 AND (used_at IS NULL OR used_at < ?2)
