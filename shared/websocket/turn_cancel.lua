-- The client wants no more of a turn. KEYS: the turn. Answers whether there was something to cancel.
local state = redis.call('HGET', KEYS[1], 'state')
if not state or state == 'ended' then return 0 end
redis.call('HSET', KEYS[1], 'cancelled', 1)
return 1
