-- Removes what changed, leases included, and notes up to which change all is known from now on.
-- KEYS: head, entries. ARGV: generation, change from which the entries are all that changed, change up to which, ttl in ms.
-- Answers with the numbers of the entries that held a value; or with what stands in the way.
local head = redis.call('HMGET', KEYS[1], 'generation', 'through')
local through = tonumber(head[2]) or -1
if head[1] ~= ARGV[1] or through < tonumber(ARGV[2]) then
    return {'behind'}
end
if through >= tonumber(ARGV[3]) then
    return {'known'}
end
local held = {'advanced'}
for n = 2, #KEYS do
    -- What is no string is an error here, and goes too.
    local first = redis.pcall('GETRANGE', KEYS[n], 0, 0)
    redis.call('DEL', KEYS[n])
    if first == 'V' then held[#held + 1] = tostring(n - 2) end
end
redis.call('HSET', KEYS[1], 'through', ARGV[3])
redis.call('PEXPIRE', KEYS[1], ARGV[4])
return held
