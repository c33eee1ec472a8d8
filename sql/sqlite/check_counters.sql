-- Every counter against what is there; the one question that reads all of history.
SELECT channel, status, count(*) FROM notifications GROUP BY channel, status
