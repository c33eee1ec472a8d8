UPDATE channels SET
    accepted = accepted + ?2, purged = purged + ?3, pending = pending + ?4, held = held + ?5,
    sending = sending + ?6, sent = sent + ?7, dead = dead + ?8, expired = expired + ?9, cancelled = cancelled + ?10,
    seen_at = max(seen_at, ?11)
WHERE name = ?1
