-- Ends a flight: the last batch with its end, the entry, and the locks, in one step.
--   KEYS  log, lease, state, body, flight, readers, entry
--   ARGV  token, flight id, log ms, last index, batch ('': the log has a gap and gets no end), keep (0, 1),
--         entry ('': none), entry ms
-- Answers 1 if the log has its end, else 0. The entry is stored in any case: it is whole whatever became of the log.
if ARGV[7] ~= '' then redis.call('SET', KEYS[7], ARGV[7], 'PX', ARGV[8]) end
local held = redis.call('HMGET', KEYS[3], 'token', 'ended')
if held[2] and held[1] == ARGV[1] then return 1 end
if held[1] ~= ARGV[1] then return 0 end
redis.call('DEL', KEYS[2])
if redis.call('GET', KEYS[5]) == ARGV[2] then redis.call('DEL', KEYS[5]) end
if ARGV[5] == '' then
    -- An empty batch wakes followers, who find the lease gone.
    if redis.call('EXISTS', KEYS[1]) == 1 then redis.call('XADD', KEYS[1], ARGV[4] .. '-*', 'i', '') end
    return 0
end
local read = ARGV[6] == '1'
if not read then
    local clock = redis.call('TIME')
    local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
    local mine = ARGV[2] .. '\0'
    for _, member in ipairs(redis.call('ZRANGEBYSCORE', KEYS[6], now, '+inf')) do
        read = read or string.sub(member, 1, #mine) == mine
    end
end
if not read then
    redis.call('DEL', KEYS[1], KEYS[3], KEYS[4])
    return 1
end
redis.call('XADD', KEYS[1], ARGV[4] .. '-*', 'i', ARGV[5])
redis.call('HSET', KEYS[3], 'ended', '1')
redis.call('PEXPIRE', KEYS[1], ARGV[3])
redis.call('PEXPIRE', KEYS[3], ARGV[3])
redis.call('DEL', KEYS[4])
return 1
