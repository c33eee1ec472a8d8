DELETE FROM rate_windows WHERE channel = ?1 AND rate = ?2
