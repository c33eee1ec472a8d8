UPDATE notifications SET status = 'expired', reason = 'expired', settled_at = ?2 WHERE id = ?1
