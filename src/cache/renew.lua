-- Begins a new generation in place of the one that is named: what lies there is found by nobody any more.
-- KEYS: head. ARGV: generation to end, generation to begin, change to begin at ('' for where it stands), ttl in ms.
local head = redis.call('HMGET', KEYS[1], 'generation', 'through')
if head[1] ~= ARGV[1] then
    return 0
end
local through = ARGV[3]
if through == '' then through = head[2] end
redis.call('HSET', KEYS[1], 'generation', ARGV[2], 'through', through)
redis.call('PEXPIRE', KEYS[1], ARGV[4])
return 1
