-- Take a turn, by lease. KEYS: the turn, the connection's turns under way, the connection.
-- ARGV: token, ms of the lease, ms that a turn is remembered.
-- Answers {"claimed", event id posted last}, {"busy", 0} (another has it), {"over", 0} (it ended, is unknown, or
-- its client has gone before it began).
local state = redis.call('HGET', KEYS[1], 'state')
if not state or state == 'ended' then return {'over', 0} end
local abandoned = redis.call('EXISTS', KEYS[3]) == 0 and redis.call('HGET', KEYS[1], 'resumable') == '0'
if state == 'waiting' and abandoned then return {'over', 0} end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local held = redis.call('HMGET', KEYS[1], 'token', 'until', 'posted')
if held[1] and held[1] ~= ARGV[1] and now < tonumber(held[2]) then return {'busy', 0} end
redis.call('HSET', KEYS[1], 'state', 'running', 'token', ARGV[1], 'until', now + ARGV[2])
redis.call('PEXPIRE', KEYS[1], ARGV[3])
redis.call('ZADD', KEYS[2], now + ARGV[2], KEYS[1])
return {'claimed', tonumber(held[3] or -1)}
