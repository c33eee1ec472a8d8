UPDATE channels SET failures = ?2, paused_until = ?3, paused_reason = ?4, paused_detail = ?5, probing_until = ?6,
    asked_until = ?7
WHERE name = ?1
