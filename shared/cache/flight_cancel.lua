-- Notes that the caller of an answer wants no more of it, for the leader's next sign and for live readers.
--   KEYS  log, state
--   ARGV  answer id, batch of the cancel item, log ms
-- Answers 1, or 0 if the flight has ended or is gone.
local held = redis.call('HMGET', KEYS[2], 'token', 'ended', 'cancelled')
if not held[1] or held[2] then return 0 end
local cancelled = held[3] or ''
if string.find('\n' .. cancelled, '\n' .. ARGV[1] .. '\n', 1, true) then return 1 end
redis.call('HSET', KEYS[2], 'cancelled', cancelled .. ARGV[1] .. '\n')
local last = redis.call('XREVRANGE', KEYS[1], '+', '-', 'COUNT', 1)[1]
redis.call('XADD', KEYS[1], (last and string.match(last[1], '^%d+') or '0') .. '-*', 'i', ARGV[2])
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return 1
