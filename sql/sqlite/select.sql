-- The place in braces is filled in with conditions on ?1 … ?8, never with a value.
SELECT id, channel, batch_id, status FROM notifications WHERE {where} ORDER BY id LIMIT ?8
