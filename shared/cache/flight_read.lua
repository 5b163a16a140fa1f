-- What the log holds after an entry, and how its flight stands; registers the reader.
--   KEYS  log, lease, state, readers
--   ARGV  id of the last entry read, most entries, flight id, reader, reader ms
-- Answers {entries, standing}: 'live', 'ended', 'lost' (no leader, no end) or 'gone'.
local ended = redis.call('HMGET', KEYS[3], 'token', 'ended')
if not ended[1] then return {{}, 'gone'} end
local entries = redis.call('XRANGE', KEYS[1], '(' .. ARGV[1], '+', 'COUNT', ARGV[2])
if ended[2] then return {entries, 'ended'} end
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
redis.call('ZREMRANGEBYSCORE', KEYS[4], '-inf', now)
redis.call('ZADD', KEYS[4], now + ARGV[5], ARGV[3] .. '\0' .. ARGV[4])
redis.call('PEXPIRE', KEYS[4], ARGV[5])
return {entries, redis.call('EXISTS', KEYS[2]) == 1 and 'live' or 'lost'}
