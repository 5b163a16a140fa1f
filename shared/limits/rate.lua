-- Decides requests and tokens per minute for one key in one step (GCRA: a minute's worth may come at once, then
-- at the steady rate; no window border to double at). Server time.
--   KEYS[1]  hash of the key: field r, t = theoretical arrival time of requests, tokens (milliseconds)
--   ARGV     requests per minute, tokens per minute (0: no limit), tokens of this request
-- Answers {allowed, limit that refused ("r", "t" or ""), milliseconds to wait, requests left, tokens left}.
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local PERIOD = 60000
local per_minute = {r = tonumber(ARGV[1]), t = tonumber(ARGV[2])}
local cost = {r = 1, t = tonumber(ARGV[3])}
local arrival, left = {}, {r = -1, t = -1}

for _, meter in ipairs({'r', 't'}) do
    if per_minute[meter] > 0 then
        local interval = PERIOD / per_minute[meter]
        local before = math.max(tonumber(redis.call('HGET', KEYS[1], meter) or 0), now)
        local after = before + cost[meter] * interval
        if after - now > PERIOD then
            return {0, meter, math.ceil(after - now - PERIOD), 0, 0}
        end
        arrival[meter] = after
        left[meter] = math.floor((PERIOD - (after - now)) / interval)
    end
end

for meter, value in pairs(arrival) do
    redis.call('HSET', KEYS[1], meter, string.format('%.3f', value))
end
redis.call('PEXPIRE', KEYS[1], 2 * PERIOD)
return {1, '', 0, left.r, left.t}
