-- Takes a turn at a host, if it is free.
-- KEYS: the host's clock {free_at, line, failures}, its leases (token by end), in milliseconds of this server.
-- ARGV: token; delay after the start of a turn; turns at once; lease; failures in a row at which it is given up.
-- Returns 0 when taken; else the milliseconds to wait; -1: as long as others have their turns; -2: given up.
local clock, leases = KEYS[1], KEYS[2]
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

local known = redis.call('HMGET', clock, 'free_at', 'failures')
if tonumber(known[2] or 0) >= tonumber(ARGV[5]) then
    return -2
end
local wait = tonumber(known[1] or 0) - now
if wait > 0 then
    return wait
end
-- Whoever died with a turn loses it here.
redis.call('ZREMRANGEBYSCORE', leases, '-inf', now)
if redis.call('ZCARD', leases) >= tonumber(ARGV[3]) then
    return -1
end
redis.call('ZADD', leases, now + ARGV[4], ARGV[1])
redis.call('PEXPIRE', leases, ARGV[4] * 2)
redis.call('HSET', clock, 'free_at', now + ARGV[2])
redis.call('PEXPIRE', clock, 3600000)
return 0
