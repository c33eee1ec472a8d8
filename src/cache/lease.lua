-- The lease to fill a name under which nothing lies, for one process at a time.
-- KEYS: head, entry. ARGV: generation, up to which change all must be known, token, lease in ms.
local head = redis.call('HMGET', KEYS[1], 'generation', 'through')
if head[1] ~= ARGV[1] or (tonumber(head[2]) or -1) < tonumber(ARGV[2]) then
    return 'behind'
end
-- Somebody else was sooner, or has filled it already: its reader goes to the store and leaves nothing behind. So does one whom
-- a full Redis gives no lease.
local set = redis.pcall('SET', KEYS[2], 'L' .. ARGV[3], 'PX', ARGV[4], 'NX')
if not set or set.err then return 'busy' end
return 'lease'
