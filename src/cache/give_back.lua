-- Gives a lease back that nothing came of. KEYS: entry. ARGV: token.
if redis.pcall('GET', KEYS[1]) == 'L' .. ARGV[1] then
    redis.call('DEL', KEYS[1])
end
return 1
