-- The length of a blob stands before it: what an attachment holds is not read.
SELECT position, name, media_type, CASE WHEN position <= 0 THEN content END, length(content)
FROM parts WHERE notification_id = ?1 ORDER BY position
