-- Note a turn that begins. KEYS: connection, its turns under way, the turn.
-- ARGV: most at once, ms that a turn may wait or go on without a sign, ms that a turn is remembered, resumable.
-- Answers "opened", "gone" (no such connection), "taken" (the id was used), "full".
if redis.call('EXISTS', KEYS[1]) == 0 then return 'gone' end
if redis.call('EXISTS', KEYS[3]) == 1 then return 'taken' end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', now)
if redis.call('ZCARD', KEYS[2]) >= tonumber(ARGV[1]) then return 'full' end
redis.call('ZADD', KEYS[2], now + ARGV[2], KEYS[3])
redis.call('PEXPIRE', KEYS[2], ARGV[3])
redis.call('HSET', KEYS[3], 'state', 'waiting', 'resumable', ARGV[4])
redis.call('PEXPIRE', KEYS[3], ARGV[3])
return 'opened'
