-- Sets a value, if the lease under which it was read still stands: whatever changed since then has taken it away.
-- KEYS: entry. ARGV: token, value, ttl in ms.
if redis.call('GET', KEYS[1]) ~= 'L' .. ARGV[1] then
    return 0
end
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
return 1
