-- started_at follows a worker that runs for long, an hour behind at most: none of its attempts began much later.
INSERT INTO workers (id, name, started_at) VALUES (?1, ?2, ?3)
ON CONFLICT (id) DO UPDATE SET started_at = excluded.started_at WHERE excluded.started_at > started_at + 3600000
