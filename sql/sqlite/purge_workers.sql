-- Workers of attempts that are all gone; their ids rise with time.
DELETE FROM workers WHERE started_at < ?1
    AND id NOT IN (SELECT worker_id FROM notifications WHERE status = 'sending')
    AND started_at < (SELECT min(started_at) FROM (SELECT started_at FROM attempts ORDER BY notification_id, number LIMIT 100))
