-- Go on with a turn: renew its lease, note what is posted. KEYS: the turn, the turns under way, the connection.
-- ARGV: token, ms of the lease, ms that a turn is remembered, event id posted last (-1: none yet).
-- Answers {held, cancelled, connected}, each 0 or 1.
local turn = redis.call('HMGET', KEYS[1], 'token', 'cancelled')
if turn[1] ~= ARGV[1] then return {0, 0, 0} end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('HSET', KEYS[1], 'until', now + ARGV[2], 'posted', ARGV[4])
redis.call('PEXPIRE', KEYS[1], ARGV[3])
redis.call('ZADD', KEYS[2], now + ARGV[2], KEYS[1])
return {1, turn[2] and 1 or 0, redis.call('EXISTS', KEYS[3])}
