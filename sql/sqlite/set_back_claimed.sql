-- The moment at which what is in hand was claimed, by which the windows of rates and a probe know it.
UPDATE notifications SET claimed_at = claimed_at - (?3 - ?2) WHERE status = 'sending' AND channel = ?1
