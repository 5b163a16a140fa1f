-- Takes a place at the end of a host's line, for who cannot wait for a turn.
-- KEYS: the host's clock. ARGV: milliseconds between two turns. Returns the milliseconds after which to come back.
local clock = KEYS[1]
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

local known = redis.call('HMGET', clock, 'free_at', 'line')
local place = math.max(now, tonumber(known[1] or 0), tonumber(known[2] or 0))
redis.call('HSET', clock, 'line', place + ARGV[1])
redis.call('PEXPIRE', clock, math.max(3600000, place - now + 60000))
return place - now
