-- Counts its calls. KEYS[1]: the count; ARGV[1]: seconds for which it is kept.
local count = redis.call('INCR', KEYS[1])
redis.call('EXPIRE', KEYS[1], ARGV[1])
return count
