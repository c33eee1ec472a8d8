SELECT claimed_at FROM notifications WHERE id = ?1 AND attempts = ?2 AND lease_token = ?3 AND status = 'sending'
