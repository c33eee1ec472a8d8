-- What is there, by all that is counted; reads all of history.
SELECT channel, batch_id, status, count(*) FROM notifications GROUP BY channel, batch_id, status
