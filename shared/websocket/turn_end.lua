-- A turn is over: who held it says so. KEYS: the turn, the turns under way. ARGV: token.
if redis.call('HGET', KEYS[1], 'token') ~= ARGV[1] then return 0 end
redis.call('HSET', KEYS[1], 'state', 'ended')
redis.call('ZREM', KEYS[2], KEYS[1])
return 1
