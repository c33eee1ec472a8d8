-- By id, inside the transaction that chose it: RETURNING and a chosen set would each build a table of their own
-- for every claim, which costs more than the claim.
UPDATE notifications SET
    status = 'sending', attempts = attempts + 1, claimed_at = ?2, worker_id = ?3, lease_token = ?4, lease_expires_at = ?5
WHERE id = ?1
