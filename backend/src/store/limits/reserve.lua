-- Takes every amount, or none.
-- KEYS: the reservation, the epoch, then the counters.
-- ARGV: for how long to keep the reservation, for how long an epoch only begins, the epoch in which seeds were found,
-- then for each counter its amount, its limit, its seed (empty: none), for how long to keep it; all times in ms.
-- Answers a verdict and, as texts, what each counter has: "reserved", "over", "released" (it was settled before it
-- came). Or "unseeded" with the epoch, and for how long it still only begins.
--
-- An epoch begins when counters are missing that nobody remembers: Redis is new, or lost its data. What was reserved
-- before that and is not yet in the ledger must be there before anybody reads it there to begin the counters anew.
local state = redis.call('GET', KEYS[1])
if state == '0' then
    return { 'released' }
end
local epoch = redis.call('GET', KEYS[2])
local counters = #KEYS - 2
local used, is_over, is_unseeded = {}, false, false
for place = 1, counters do
    local at = 4 * place
    local count = redis.call('GET', KEYS[place + 2])
    if not count then
        count = ARGV[at + 2]
        if count == '' or epoch ~= ARGV[3] then
            is_unseeded = true
            count = ''
        else
            redis.call('SET', KEYS[place + 2], count, 'PX', ARGV[at + 3])
        end
    end
    used[place] = count
    if count ~= '' and tonumber(count) + tonumber(ARGV[at]) > tonumber(ARGV[at + 1]) then
        is_over = true
    end
end
if is_unseeded then
    local time = redis.call('TIME')
    local now = time[1] * 1000 + math.floor(time[2] / 1000)
    if not epoch then
        epoch = string.format('%.0f', now)
        redis.call('SET', KEYS[2], epoch)
    end
    local begins_for = math.max(0, tonumber(epoch) + tonumber(ARGV[2]) - now)
    return { 'unseeded', epoch, string.format('%.0f', begins_for) }
end
if state then
    return { 'reserved', unpack(used) }
end
if is_over then
    return { 'over', unpack(used) }
end
for place = 1, counters do
    used[place] = string.format('%.0f', redis.call('INCRBY', KEYS[place + 2], ARGV[4 * place]))
end
redis.call('SET', KEYS[1], '1', 'PX', ARGV[1])
return { 'reserved', unpack(used) }
