-- Lets nobody join a flight any more, unless somebody reads it: for a leader who would rather end it.
--   KEYS  state, flight, readers
--   ARGV  token, flight id
-- Answers 1, or 0 if it is read.
if redis.call('HGET', KEYS[1], 'token') ~= ARGV[1] then return 1 end
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local mine = ARGV[2] .. '\0'
for _, member in ipairs(redis.call('ZRANGEBYSCORE', KEYS[3], now, '+inf')) do
    if string.sub(member, 1, #mine) == mine then return 0 end
end
redis.call('HSET', KEYS[1], 'joint', '0')
if redis.call('GET', KEYS[2]) == ARGV[2] then redis.call('DEL', KEYS[2]) end
return 1
