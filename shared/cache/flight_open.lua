-- Begins a flight that nobody joins.
--   KEYS  lease, state, log
--   ARGV  token, lease ms, log ms
redis.call('DEL', KEYS[2], KEYS[3])
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
redis.call('HSET', KEYS[2], 'token', ARGV[1], 'joint', '0')
redis.call('PEXPIRE', KEYS[2], ARGV[3])
return 1
