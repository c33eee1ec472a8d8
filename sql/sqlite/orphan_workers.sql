SELECT DISTINCT worker_id FROM notifications WHERE status = 'sending' AND worker_id <> ?1
