SELECT rate, entries FROM rate_windows WHERE channel = ?1 ORDER BY rate
