-- Sets a value, if the lease under which it was read still stands: whatever changed since then has taken it away.
-- KEYS: entry. ARGV: token, value, ttl in ms; and how long the lease was, in ms, for a ttl that counts from when it was granted.
if redis.pcall('GET', KEYS[1]) ~= 'L' .. ARGV[1] then
    return 0
end
local ttl = tonumber(ARGV[3])
if ARGV[4] then
    ttl = ttl - (tonumber(ARGV[4]) - redis.call('PTTL', KEYS[1]))
    if ttl < 1 then
        redis.call('DEL', KEYS[1])
        return 0
    end
end
redis.call('SET', KEYS[1], ARGV[2], 'PX', ttl)
return 1
