-- Up to which change this Redis knows all; a new generation from here on when it knows nothing.
-- KEYS: head. ARGV: generation to begin, change to begin at, ttl in ms.
local head = redis.pcall('HMGET', KEYS[1], 'generation', 'through')
if head.err or not head[1] or not tonumber(head[2]) then
    redis.call('DEL', KEYS[1])
    redis.call('HSET', KEYS[1], 'generation', ARGV[1], 'through', ARGV[2])
    head = {ARGV[1], ARGV[2]}
end
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return head
