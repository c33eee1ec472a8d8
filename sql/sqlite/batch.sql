SELECT id, created_at, source, accepted, purged, pending, held, sending, sent, dead, expired, cancelled
FROM batches WHERE id = ?1
