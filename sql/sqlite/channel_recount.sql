UPDATE channels SET
    purged = max(purged, 0), accepted = max(purged, 0) + ?2 + ?3 + ?4 + ?5 + ?6 + ?7 + ?8,
    pending = ?2, held = ?3, sending = ?4, sent = ?5, dead = ?6, expired = ?7, cancelled = ?8
WHERE name = ?1
