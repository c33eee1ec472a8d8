SELECT 'attempts', count(*) FROM attempts a WHERE NOT EXISTS (SELECT 1 FROM notifications n WHERE n.id = a.notification_id)
UNION ALL
SELECT 'parts', count(*) FROM parts p WHERE NOT EXISTS (SELECT 1 FROM notifications n WHERE n.id = p.notification_id)
UNION ALL
SELECT 'notifications without all their parts', count(*) FROM notifications n
    WHERE n.parts > 0 AND n.parts <> (SELECT count(*) FROM parts p WHERE p.notification_id = n.id)
