-- Changes counters by what was used more or less than was reserved, once; leaves word of it where nothing was reserved.
-- KEYS: the reservation, then the counters. ARGV: for how long to keep that word (ms), then for each counter the change.
local state = redis.call('GET', KEYS[1])
if state == '0' then
    return 0
end
redis.call('SET', KEYS[1], '0', 'PX', ARGV[1])
if not state then
    return 0
end
for place = 2, #KEYS do
    if redis.call('EXISTS', KEYS[place]) == 1 and redis.call('INCRBY', KEYS[place], ARGV[place]) < 0 then
        redis.call('SET', KEYS[place], '0', 'KEEPTTL')
    end
end
return 1
