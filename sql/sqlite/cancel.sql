UPDATE notifications SET status = 'cancelled', reason = 'operator', settled_at = ?2 WHERE id = ?1
