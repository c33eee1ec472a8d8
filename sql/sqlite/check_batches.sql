SELECT b.id, b.accepted - b.purged, count(n.id) FROM batches b
LEFT JOIN notifications n ON n.batch_id = b.id AND n.batch_id IS NOT NULL
GROUP BY b.id HAVING b.accepted - b.purged <> count(n.id)
