-- Workers of attempts that are all gone: those that are left began more than a day after the worker's last claim
-- (started_at, see worker_remember). They rise with the id, but for a few that waited long.
DELETE FROM workers WHERE started_at < ?1
    AND id NOT IN (SELECT worker_id FROM notifications WHERE status = 'sending')
    AND started_at + 86400000
        < (SELECT min(started_at) FROM (SELECT started_at FROM attempts ORDER BY notification_id, number LIMIT 100))
