-- A row that cannot be read does not stop the rest; it stays, for an operator to look at.
UPDATE notifications SET status = 'dead', reason = 'unsendable', settled_at = ?2 WHERE id = ?1
