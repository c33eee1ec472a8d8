-- What a request was that had this key, and what it came to. What was purged has no row any more.
SELECT asked.sha256, asked.notification_id, asked.last_id, first.created_at, first.batch_id
FROM idempotency_keys AS asked LEFT JOIN notifications AS first ON first.id = asked.notification_id
WHERE asked.key = ?1 AND asked.recipient = '' AND asked.expires_at > ?2
