-- Makes the caller leader of a flight whose leader is gone.
--   KEYS  log, lease, state, flight
--   ARGV  token, flight id, lease ms, log ms
-- Answers {last index, bytes so far}, or {} if the flight has a leader, has ended or is gone.
local held = redis.call('HMGET', KEYS[3], 'token', 'ended', 'joint', 'bytes')
if not held[1] or held[2] or redis.call('EXISTS', KEYS[2]) == 1 then return {} end
redis.call('SET', KEYS[2], ARGV[1], 'PX', ARGV[3])
redis.call('HSET', KEYS[3], 'token', ARGV[1], 'seq', '0')
redis.call('PEXPIRE', KEYS[3], ARGV[4])
if held[3] == '1' then redis.call('SET', KEYS[4], ARGV[2], 'NX', 'PX', ARGV[3]) end
local last = redis.call('XREVRANGE', KEYS[1], '+', '-', 'COUNT', 1)[1]
return {last and tonumber(string.match(last[1], '^%d+')) or 0, tonumber(held[4] or 0)}
