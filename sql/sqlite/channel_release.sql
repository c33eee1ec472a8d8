UPDATE channels SET held_at = NULL, held_reason = NULL, failures = 0,
    paused_until = NULL, paused_reason = NULL, paused_detail = NULL, probing_until = NULL, asked_until = NULL
WHERE name = ?1 AND (held_at IS NOT NULL OR failures > 0 OR paused_until IS NOT NULL OR probing_until IS NOT NULL)
