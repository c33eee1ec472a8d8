INSERT INTO events (id, at, enqueued, count, entries)
VALUES ((SELECT coalesce(max(id), 0) FROM events) + ?1, ?2,
        coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'notifications'), 0), ?1, ?3)
