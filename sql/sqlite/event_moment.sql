-- The first row from ?1 on, for a search by halves: times rise with ids.
SELECT id - count, at FROM events WHERE id >= ?1 ORDER BY id LIMIT 1
