SELECT a.number, coalesce((SELECT name FROM workers WHERE id = a.worker_id), 'unknown'), a.started_at, a.ended_at,
       a.outcome, a.reason, a.detail, a.late
FROM attempts a WHERE a.notification_id = ?1
UNION ALL
SELECT n.attempts, coalesce((SELECT name FROM workers WHERE id = n.worker_id), 'unknown'), n.claimed_at, NULL,
       NULL, NULL, '', NULL
FROM notifications n WHERE n.id = ?1 AND n.status = 'sending'
ORDER BY 1
