-- Puts what a request used in the place of what `reserve.lua` reserved for it, once per reservation.
--
--   KEYS  1 marker of the reservation; then four per scope, as in `reserve.lua`
--   ARGV  1 reservation id   2 cost reserved   3 cost (micro-dollars)   4 tokens reserved   5 tokens
--         6 when it was reserved (ms)   7 how long a second settlement is known as such (ms); then two per scope:
--         tokens per minute (-1: no limit), arrival of the reserved tokens (ms)
--
-- Answers 1, or 0 when the reservation was settled before.
local clock = redis.call('TIME')
local now = clock[1] * 1000 + clock[2] / 1000
local MINUTE = 60000

if not redis.call('SET', KEYS[1], '1', 'NX', 'PX', ARGV[7]) then return 0 end

local member = ARGV[2] .. ':' .. ARGV[1]
local surplus = tonumber(ARGV[5]) - tonumber(ARGV[4])

-- GCRA: what was used beyond the estimate comes on top. What was not used is given back as far as it has not
-- flowed off since (time has passed it, or the tokens were found whole): a refund of that would come twice.
local function shift(rates, per_minute, reserved_until)
    local by = surplus * MINUTE / per_minute
    local arrival = tonumber(redis.call('HGET', rates, 't') or 0)
    local idle = tonumber(redis.call('HGET', rates, 'idle') or 0)
    if by > 0 then
        arrival = math.max(arrival, now) + by
    elseif idle <= tonumber(ARGV[6]) then
        arrival = arrival - math.min(-by, math.max(0, reserved_until - now))
    end
    if arrival > now then
        redis.call('HSET', rates, 't', string.format('%.4f', arrival))
        local ttl = math.ceil(arrival - now + MINUTE)
        if redis.call('PTTL', rates) < ttl then redis.call('PEXPIRE', rates, ttl) end
    else
        redis.call('HDEL', rates, 't')
    end
end

for scope = 0, (#KEYS - 1) / 4 - 1 do
    local rates, open = KEYS[2 + scope * 4], KEYS[3 + scope * 4]
    -- Absent, the lease has lapsed, and who saw it lapse has given the money back.
    if redis.call('ZREM', open, member) == 1 then
        local held = tonumber(redis.call('HGET', rates, 'held') or 0) - tonumber(ARGV[2])
        if held > 0 then
            redis.call('HSET', rates, 'held', string.format('%.0f', held))
        else
            redis.call('HDEL', rates, 'held')
        end
    end
    for place = 4, 5 do
        local sum = KEYS[place + scope * 4]
        -- Absent, the ledger will say it, this request included.
        if redis.call('EXISTS', sum) == 1 then redis.call('INCRBY', sum, ARGV[3]) end
    end
    local per_minute = tonumber(ARGV[8 + scope * 2])
    if per_minute > 0 and surplus ~= 0 then shift(rates, per_minute, tonumber(ARGV[9 + scope * 2])) end
end
return 1
