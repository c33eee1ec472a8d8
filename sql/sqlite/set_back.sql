-- What lies ahead was reckoned by the clock before it was set back, but for what a user asked for by the clock.
UPDATE notifications SET next_attempt_at = max(next_attempt_at - (?3 - ?2), coalesce(not_before, 0))
WHERE status = 'pending' AND channel = ?1 AND next_attempt_at > ?2
