-- A settled notification has as many attempts on record as it counts.
SELECT count(*) FROM notifications n WHERE n.attempts > 0 AND n.status <> 'sending'
    AND n.attempts <> (SELECT count(*) FROM attempts a WHERE a.notification_id = n.id)
