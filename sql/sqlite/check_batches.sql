SELECT b.id, b.accepted - b.purged,
    (SELECT count(*) FROM notifications n WHERE n.id BETWEEN b.first_id AND b.last_id AND n.batch_id = b.id) AS there
FROM batches b WHERE b.accepted - b.purged <> there
