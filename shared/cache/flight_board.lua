-- Serves the entry, else makes the caller leader or says whom to follow.
--   KEYS  entry, flight, readers; lease, state and log of the caller's own flight
--   ARGV  recall (0, 1), flight id, token, lease ms, log ms, reader ms
-- Answers {'hit', entry}, {'lead', ''} or {'follow', flight id}. A follower counts as reader at once.
if ARGV[1] == '1' then
    local entry = redis.call('GET', KEYS[1])
    if entry then return {'hit', entry} end
end
local flight = redis.call('GET', KEYS[2])
if flight and flight ~= ARGV[2] then
    local clock = redis.call('TIME')
    local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
    redis.call('ZREMRANGEBYSCORE', KEYS[3], '-inf', now)
    redis.call('ZADD', KEYS[3], now + ARGV[6], flight .. '\0' .. ARGV[2])
    redis.call('PEXPIRE', KEYS[3], ARGV[6])
    return {'follow', flight}
end
-- Of an earlier attempt by the same name nothing may be left.
redis.call('DEL', KEYS[5], KEYS[6])
redis.call('SET', KEYS[2], ARGV[2], 'PX', ARGV[4])
redis.call('SET', KEYS[4], ARGV[3], 'PX', ARGV[4])
redis.call('HSET', KEYS[5], 'token', ARGV[3], 'joint', '1')
redis.call('PEXPIRE', KEYS[5], ARGV[5])
return {'lead', ''}
