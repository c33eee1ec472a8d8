SELECT name, held_at, held_reason, failures, paused_until, paused_reason, paused_detail, probing_until, asked_until
FROM channels ORDER BY name
