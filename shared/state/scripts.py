"""The scripts that Redis runs, so that each operation is one step for all workers (Lua text).

Times are Redis's own (TIME), so that the clocks of the workers do not matter. Key names: see keys.py. A script
touches several keys at once: one Redis, or a primary with replicas, but no cluster.
"""

from shared.state.windows import SLOTS

# How long a process counts as alive after its last beat, and its places with it.
ALIVE_S = 12
# Places are written anew with each beat; what no beat has touched for so long is nobody's.
PLACES_MS = 60_000

_NOW = """
local time = redis.call('TIME')
local now = tonumber(time[1]) + tonumber(time[2]) / 1000000
"""

# KEYS: windows. ARGV: count, seconds, amount of each. A window is text, `slot=amount slot=amount …`.
# Returns 0, or which ask would exceed its rate (from 1); then nothing is counted. Rules: see windows.py.
TAKE = f"""
{_NOW}
local windows = {{}}
for i, key in ipairs(KEYS) do
  local count, per, amount = tonumber(ARGV[3 * i - 2]), tonumber(ARGV[3 * i - 1]), tonumber(ARGV[3 * i])
  local window = windows[key]
  if not window then
    window = {{slot = math.floor(now * {SLOTS} / per), per = per, earlier = {{}}, total = 0, current = 0}}
    for slot, sum in string.gmatch(redis.call('GET', key) or '', '(%d+)=(%d+)') do
      slot, sum = tonumber(slot), tonumber(sum)
      if slot == window.slot then
        window.current = sum
      elseif slot >= window.slot - {SLOTS} then
        window.earlier[#window.earlier + 1] = string.format('%.0f=%.0f', slot, sum)
      else
        sum = 0
      end
      window.total = window.total + sum
    end
    windows[key] = window
  end
  if window.total + amount > count then return i end
  window.total = window.total + amount
  window.current = window.current + amount
end
for key, window in pairs(windows) do
  window.earlier[#window.earlier + 1] = string.format('%.0f=%.0f', window.slot, window.current)
  redis.call('SET', key, table.concat(window.earlier, ' '), 'PX',
    math.ceil(window.per * 1000 * {SLOTS + 1} / {SLOTS}))
end
return 0
"""

# KEYS: the processes; hashes of places by process. ARGV: this process; then of each key the limit, and how many places
# this process holds, which is believed where Redis forgot them.
# Returns 0, or which place is full (from 1); then none is taken.
ENTER = f"""
{_NOW}
local me, alive, mine, others = ARGV[1], {{[ARGV[1]] = true}}, {{}}, {{}}
redis.call('HSET', KEYS[1], me, time[1])
local function of_others(key)
  local sum, fields = 0, redis.call('HGETALL', key)
  for f = 1, #fields, 2 do
    local process = fields[f]
    if alive[process] == nil then
      alive[process] = now - tonumber(redis.call('HGET', KEYS[1], process) or 0) < {ALIVE_S}
    end
    if not alive[process] then
      redis.call('HDEL', key, process)
    elseif process ~= me then
      sum = sum + tonumber(fields[f + 1])
    end
  end
  return sum
end
for i = 1, #KEYS - 1 do
  local key, limit, held = KEYS[i + 1], tonumber(ARGV[2 * i]), ARGV[2 * i + 1]
  if not mine[key] then
    others[key] = of_others(key)
    mine[key] = tonumber(redis.call('HGET', key, me) or held)
  end
  if others[key] + mine[key] >= limit then return i end
  mine[key] = mine[key] + 1
end
for key, count in pairs(mine) do
  redis.call('HSET', key, me, string.format('%.0f', count))
  redis.call('PEXPIRE', key, {PLACES_MS})
end
return 0
"""

# KEYS: hashes of places by process. ARGV: this process.
LEAVE = """
for _, key in ipairs(KEYS) do
  if redis.call('HINCRBY', key, ARGV[1], -1) <= 0 then redis.call('HDEL', key, ARGV[1]) end
end
return 0
"""

# KEYS: the processes; hashes of places by process. ARGV: this process; then of each key how many places it holds, and
# `=` where that is to be written whatever Redis holds, else it is where Redis forgot.
# Returns what Redis holds then of each. Processes that are long dead are forgotten.
BEAT = f"""
{_NOW}
local me, held = ARGV[1], {{}}
redis.call('HSET', KEYS[1], me, time[1])
local heard = redis.call('HGETALL', KEYS[1])
for f = 1, #heard, 2 do
  if now - tonumber(heard[f + 1]) > {10 * ALIVE_S} then redis.call('HDEL', KEYS[1], heard[f]) end
end
for i = 1, #KEYS - 1 do
  local key, count = KEYS[i + 1], tonumber(ARGV[2 * i])
  if count == 0 then
    redis.call('HDEL', key, me)
  elseif ARGV[2 * i + 1] == '=' then
    redis.call('HSET', key, me, count)
  else
    redis.call('HSETNX', key, me, count)
  end
  redis.call('PEXPIRE', key, {PLACES_MS})
  held[i] = tonumber(redis.call('HGET', key, me) or 0)
end
return held
"""

# KEYS: the processes. ARGV: the name that this process had, the one it has now.
RENAME = """
redis.call('HSET', KEYS[1], ARGV[2], redis.call('TIME')[1])
redis.call('HDEL', KEYS[1], ARGV[1])
return 0
"""

# KEYS: a value. ARGV: text, milliseconds. Returns what was there.
PUT_FIRST = """
local found = redis.call('GET', KEYS[1])
if not found then redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2]) end
return found
"""

# KEYS: a number. ARGV: amount, milliseconds from its beginning. Returns the sum.
ADD = """
local sum = redis.call('INCRBY', KEYS[1], ARGV[1])
if redis.call('PTTL', KEYS[1]) < 0 then redis.call('PEXPIRE', KEYS[1], ARGV[2]) end
return sum
"""
