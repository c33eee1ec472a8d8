SELECT id, at, enqueued, count, entries FROM events WHERE id > ?1 ORDER BY id
