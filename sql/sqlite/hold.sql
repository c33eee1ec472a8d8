UPDATE notifications SET status = 'held', reason = 'operator' WHERE id = ?1
