-- Appends a batch and renews the lease; with an empty batch it only renews.
--   KEYS  log, lease, state, body, flight, readers
--   ARGV  token, flight id, lease ms, log ms, batch number, last index, batch, bytes so far, body
-- Answers {1, readers, cancelled answers}, or {0, 0, ''} to who is leader no more. A batch sent twice is written once.
local held = redis.call('HMGET', KEYS[3], 'token', 'seq', 'joint', 'cancelled', 'ended')
if held[1] ~= ARGV[1] or held[5] then return {0, 0, ''} end
if ARGV[7] ~= '' and held[2] ~= ARGV[5] then
    redis.call('XADD', KEYS[1], ARGV[6] .. '-*', 'i', ARGV[7])
    redis.call('HSET', KEYS[3], 'seq', ARGV[5], 'bytes', ARGV[8])
end
if ARGV[9] ~= '' then redis.call('SET', KEYS[4], ARGV[9]) end
redis.call('SET', KEYS[2], ARGV[1], 'PX', ARGV[3])
if held[3] == '1' then
    local flight = redis.call('GET', KEYS[5])
    if not flight or flight == ARGV[2] then redis.call('SET', KEYS[5], ARGV[2], 'PX', ARGV[3]) end
end
for _, key in ipairs({KEYS[1], KEYS[3], KEYS[4]}) do redis.call('PEXPIRE', key, ARGV[4]) end
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local readers, mine = 0, ARGV[2] .. '\0'
for _, member in ipairs(redis.call('ZRANGEBYSCORE', KEYS[6], now, '+inf')) do
    if string.sub(member, 1, #mine) == mine then readers = readers + 1 end
end
return {1, readers, held[4] or ''}
