-- What lies under a name; or the lease to fill it, for one process at a time.
-- KEYS: head, entry. ARGV: generation, up to which change all must be known, token, lease in ms.
local head = redis.call('HMGET', KEYS[1], 'generation', 'through')
if head[1] ~= ARGV[1] or (tonumber(head[2]) or -1) < tonumber(ARGV[2]) then
    return {'behind', '', 0}
end
local entry = redis.call('GET', KEYS[2])
if not entry then
    -- A full Redis gives no lease: its reader goes to the store and leaves nothing behind.
    local set = redis.pcall('SET', KEYS[2], 'L' .. ARGV[3], 'PX', ARGV[4])
    if set.err then return {'busy', '', 0} end
    return {'lease', '', 0}
end
if string.sub(entry, 1, 1) == 'L' then
    return {'busy', '', 0}
end
return {'value', entry, redis.call('PTTL', KEYS[2])}
