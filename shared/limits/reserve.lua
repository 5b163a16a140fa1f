-- Decides one request in one step, for all its scopes (key, tenant, model): all or nothing, on the server's clock.
--
--   KEYS  four per scope
--         rates  hash: r, t = theoretical arrival of requests and tokens (GCRA, ms); idle = when tokens were last
--                found whole (ms); held = micro-dollars held
--         open   sorted set: '<micro-dollars>:<reservation id>' by the moment (ms) at which its lease lapses
--         day    micro-dollars spent on this day
--         month  micro-dollars spent in this month
--   ARGV  1 reservation id   2 tokens   3 cost (micro-dollars)   4 lease (ms)   5 ms until the day ends
--         6 ms until the month ends   7 '1': a sum that is absent counts as 0; then five per scope, -1 for none:
--         requests per minute, tokens per minute, concurrent requests, budget per day, budget per month
--
-- Answers one of
--   {'unseeded', index of an absent key, ...}
--   {'refused', scope (from 1), meter, what is left, ms to wait, money held by requests under way}
--   {'reserved', now (ms), then per scope: requests left, ms until they are whole, the same for tokens (-1: no
--    limit), arrival of this request's tokens (ms)}
-- Nothing is counted unless the answer is 'reserved'.
local clock = redis.call('TIME')
local now = clock[1] * 1000 + clock[2] / 1000
local MINUTE = 60000
-- Milliseconds that the rounding of many additions may add up to.
local SLACK = 0.01

local id = ARGV[1]
local tokens, cost, lease = tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local ends = {tonumber(ARGV[5]), tonumber(ARGV[6])}
local absent_is_zero = ARGV[7] == '1'
local scopes = #KEYS / 4
local RATES = {{field = 'r', meter = 'requests', demand = 1}, {field = 't', meter = 'tokens', demand = tokens}}
local BUDGETS = {'budget_per_day', 'budget_per_month'}

local function key(scope, place) return KEYS[(scope - 1) * 4 + place] end
local function limit(scope, place) return tonumber(ARGV[7 + (scope - 1) * 5 + place]) end
local function opens(scope) return limit(scope, 3) >= 0 or limit(scope, 4) >= 0 or limit(scope, 5) >= 0 end

local refused
local function refuse(scope, meter, left, wait, held)
    wait = math.ceil(math.max(wait, 1))
    -- Of several limits the one that keeps the caller longest: after it, none of the others does.
    if not refused or wait > refused[5] then
        refused = {'refused', scope, meter, math.max(0, math.floor(left)), wait, held or 0}
    end
end

-- Give back what requests hold that nobody settled in time; answer how many are under way.
local function sweep(rates, open)
    local lapsed = redis.call('ZRANGEBYSCORE', open, '-inf', now, 'LIMIT', 0, 1000)
    if #lapsed > 0 then
        local money = 0
        for _, member in ipairs(lapsed) do money = money + tonumber(string.match(member, '^%d+')) end
        redis.call('ZREM', open, unpack(lapsed))
        if money > 0 then redis.call('HINCRBY', rates, 'held', string.format('%.0f', -money)) end
    end
    local count = redis.call('ZCARD', open)
    if count == 0 then redis.call('HDEL', rates, 'held') end
    return count
end

local function until_one_ends(open)
    local first = redis.call('ZRANGE', open, 0, 0, 'WITHSCORES')
    return first[2] and tonumber(first[2]) - now or 1
end

-- Money spent, per scope and period; the ledger knows what is not here.
local spent, unseeded = {}, {'unseeded'}
for scope = 1, scopes do
    for period = 1, 2 do
        if limit(scope, 3 + period) >= 0 then
            local place = (scope - 1) * 4 + 2 + period
            local sum = redis.call('GET', KEYS[place])
            if not sum and not absent_is_zero then unseeded[#unseeded + 1] = place end
            spent[place] = tonumber(sum or 0)
        end
    end
end
if #unseeded > 1 then return unseeded end

local arrivals, answer = {}, {'reserved', string.format('%.4f', now)}
for scope = 1, scopes do
    local rates, open = key(scope, 1), key(scope, 2)
    arrivals[scope] = {}
    for place, rate in ipairs(RATES) do
        local per_minute, left, whole = limit(scope, place), -1, -1
        if per_minute >= 0 then
            local interval = MINUTE / per_minute
            local before = math.max(tonumber(redis.call('HGET', rates, rate.field) or 0), now)
            local after = before + rate.demand * interval
            if after - now > MINUTE + SLACK then
                refuse(scope, rate.meter, (MINUTE - before + now + SLACK) / interval, after - now - MINUTE)
            end
            arrivals[scope][rate.field] = after
            if before == now and rate.field == 't' then arrivals[scope].idle = now end
            left = math.max(0, math.floor((MINUTE - after + now + SLACK) / interval))
            whole = math.ceil(after - now)
        end
        answer[#answer + 1] = left
        answer[#answer + 1] = whole
    end
    answer[#answer + 1] = string.format('%.4f', arrivals[scope].t or 0)
    if opens(scope) then
        local count = sweep(rates, open)
        if limit(scope, 3) >= 0 and count >= limit(scope, 3) then
            refuse(scope, 'concurrent_requests', 0, until_one_ends(open))
        end
        local held = math.max(0, tonumber(redis.call('HGET', rates, 'held') or 0))
        for period, meter in ipairs(BUDGETS) do
            local budget = limit(scope, 3 + period)
            if budget >= 0 and cost > 0 then
                local left = budget - spent[(scope - 1) * 4 + 2 + period]
                if cost > left then
                    refuse(scope, meter, left, ends[period])
                elseif cost > left - held then
                    refuse(scope, meter, left - held, math.min(until_one_ends(open), ends[period]), held)
                end
            end
        end
    end
end
if refused then return refused end

local function keep(name, ttl)
    if redis.call('PTTL', name) < ttl then redis.call('PEXPIRE', name, math.ceil(ttl)) end
end

for scope = 1, scopes do
    local rates, open = key(scope, 1), key(scope, 2)
    local ttl = 2 * MINUTE
    for field, arrival in pairs(arrivals[scope]) do
        redis.call('HSET', rates, field, string.format('%.4f', arrival))
        ttl = math.max(ttl, arrival - now + MINUTE)
    end
    if opens(scope) then
        if redis.call('ZADD', open, string.format('%.3f', now + lease), ARGV[3] .. ':' .. id) == 1 then
            redis.call('HINCRBY', rates, 'held', ARGV[3])
        end
        ttl = math.max(ttl, lease + MINUTE)
        keep(open, lease + MINUTE)
    end
    if redis.call('EXISTS', rates) == 1 then keep(rates, ttl) end
end
return answer
