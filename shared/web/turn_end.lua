-- Ends a turn at a host.
-- KEYS: as for turn_take. ARGV: token; milliseconds that the host rests from now on; whether it failed to answer (1),
-- did (0), or nothing is known ('').
-- After failures in a row it rests longer each time: ARGV[4] milliseconds doubled, up to ARGV[5].
local clock, leases = KEYS[1], KEYS[2]
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

redis.call('ZREM', leases, ARGV[1])
local rest = tonumber(ARGV[2])
if ARGV[3] == '1' then
    local failures = redis.call('HINCRBY', clock, 'failures', 1)
    rest = math.max(rest, math.min(ARGV[4] * 2 ^ (failures - 1), tonumber(ARGV[5])))
elseif ARGV[3] == '0' then
    redis.call('HDEL', clock, 'failures')
end
local free_at = math.max(tonumber(redis.call('HGET', clock, 'free_at') or 0), math.floor(now + rest))
redis.call('HSET', clock, 'free_at', free_at)
redis.call('PEXPIRE', clock, math.max(3600000, free_at - now + 60000))
return free_at - now
