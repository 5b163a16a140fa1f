-- What one process saw goes in, what all have seen comes out; the arithmetic is that of health.py and budget.py.
--
-- KEYS[1]    the retry budget
-- KEYS[2..]  one hash per deployment, under the same hash tag
-- ARGV[1]    requests begun since the last call
-- ARGV[2]    1: take a retry from the budget
-- ARGV[3]    number of the deployment (from 1) whose probe is wanted, 0 for none
-- ARGV[4]    seconds that a probe may take
-- ARGV[5..]  per deployment, eleven numbers with spaces between, or nothing: count, mean and squares of first
--            tokens; count and mean of seconds per token; count and mean of token ratios; successes; failures;
--            seconds to leave it alone; 1 a probe passed, 2 it failed
--
-- Answers {retry granted, probe granted, state, ...}. A state is thirteen numbers with spaces between, its
-- moments as seconds from now (past ones negative), or nothing where nothing is known.

local SAMPLE_WEIGHT = 0.1
local HALF_LIFE = 20
local MOST_FAILURES, MOST_FAILING = 2.5, 0.5
local FIRST_PAUSE, LONGEST_PAUSE = 1, 60
local LONGEST_COOLING = 300
local HEALTH_TTL = 86400

local DEPOSIT, START, MOST, REFILL = 0.1, 10, 1000, 1
local BUDGET_TTL = 3600

local NAMES = {
  'first_token', 'first_token_variance', 'first_tokens', 'per_token', 'measured_at', 'token_ratio',
  'successes', 'failures', 'counted_at', 'openings', 'open_until', 'cool_until', 'probe_until',
}
local MOMENTS = { measured_at = true, counted_at = true, open_until = true, cool_until = true, probe_until = true }

local clock = redis.call('TIME')
local now = tonumber(clock[1]) + tonumber(clock[2]) / 1000000

local function exact(number)
  return string.format('%.17g', number)
end

local function read(key)
  local values = redis.call('HMGET', key, unpack(NAMES))
  local health, known = {}, false
  for i, name in ipairs(NAMES) do
    known = known or values[i]
    health[name] = tonumber(values[i] or '') or (name == 'token_ratio' and 1 or 0)
  end
  return health, known
end

local function write(key, health)
  local fields = {}
  for _, name in ipairs(NAMES) do
    fields[#fields + 1] = name
    fields[#fields + 1] = exact(health[name])
  end
  redis.call('HSET', key, unpack(fields))
  redis.call('EXPIRE', key, HEALTH_TTL)
end

local function share(count)
  return 1 - (1 - SAMPLE_WEIGHT) ^ count
end

local function measure(health, seen)
  if seen[1] > 0 then
    local part = health.first_tokens == 0 and 1 or share(seen[1])
    local difference = seen[2] - health.first_token
    health.first_token = health.first_token + part * difference
    health.first_token_variance = (1 - part) * (health.first_token_variance + part * difference * difference)
      + part * (seen[3] / seen[1])
    health.first_tokens = health.first_tokens + seen[1]
  end
  if seen[4] > 0 then
    local part = health.per_token == 0 and 1 or share(seen[4])
    health.per_token = health.per_token + part * (seen[5] - health.per_token)
  end
  if seen[6] > 0 then
    health.token_ratio = health.token_ratio + share(seen[6]) * (seen[7] - health.token_ratio)
  end
  if seen[1] > 0 or seen[4] > 0 then
    health.measured_at = now
  end
end

local function count(health, seen)
  local successes, failures, probe = seen[8], seen[9], seen[11]
  if probe == 1 then
    health.successes, health.failures, health.counted_at = 0, 0, now
    health.openings, health.open_until, health.probe_until = 0, 0, 0
    return
  end
  if successes == 0 and failures == 0 then
    return
  end
  local kept = 0.5 ^ (math.max(0, now - health.counted_at) / HALF_LIFE)
  health.successes = health.successes * kept + successes
  health.failures = health.failures * kept + failures
  health.counted_at = now
  local failing = health.failures >= MOST_FAILURES
    and health.failures >= MOST_FAILING * (health.successes + health.failures)
  local closed = health.open_until == 0
  local half_open = not closed and now >= health.open_until
  if (closed and failures > 0 and failing) or (half_open and probe == 2) then
    health.open_until = now + math.min(LONGEST_PAUSE, FIRST_PAUSE * 2 ^ health.openings)
    health.openings = health.openings + 1
    health.probe_until = 0
  end
end

local function spoken(health)
  local words = {}
  for _, name in ipairs(NAMES) do
    local value = health[name]
    -- 0 is no moment; a state that says so must not look like one of long ago.
    if MOMENTS[name] then
      words[#words + 1] = value == 0 and 'never' or exact(value - now)
    else
      words[#words + 1] = exact(value)
    end
  end
  return table.concat(words, ' ')
end

local function budget()
  local stored = redis.call('HMGET', KEYS[1], 'balance', 'at')
  local balance, at = tonumber(stored[1] or '') or START, tonumber(stored[2] or '') or now
  if balance < START then
    balance = math.min(START, balance + REFILL * math.max(0, now - at))
  end
  balance = math.min(MOST, balance + DEPOSIT * tonumber(ARGV[1]))
  local granted = 0
  if ARGV[2] == '1' and balance >= 1 then
    balance, granted = balance - 1, 1
  end
  redis.call('HSET', KEYS[1], 'balance', exact(balance), 'at', exact(now))
  redis.call('EXPIRE', KEYS[1], BUDGET_TTL)
  return granted
end

local answer = { budget(), 0 }
for i = 2, #KEYS do
  local health, known = read(KEYS[i])
  local seen = {}
  for number in string.gmatch(ARGV[i + 3], '%S+') do
    seen[#seen + 1] = tonumber(number)
  end
  local changed = #seen > 0
  if changed then
    measure(health, seen)
    count(health, seen)
    if seen[10] > 0 then
      health.cool_until = math.max(health.cool_until, now + math.min(seen[10], LONGEST_COOLING))
    end
  end
  if i - 1 == tonumber(ARGV[3]) then
    local half_open = health.open_until ~= 0 and now >= health.open_until
    if half_open and now >= health.probe_until then
      health.probe_until, changed = now + tonumber(ARGV[4]), true
      answer[2] = 1
    elseif health.open_until == 0 then
      -- Another's probe passed meanwhile: everyone may go.
      answer[2] = 1
    end
  end
  if changed then
    write(KEYS[i], health)
  end
  answer[i + 1] = (known or changed) and spoken(health) or ''
end
return answer
