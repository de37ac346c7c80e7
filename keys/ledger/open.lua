-- Lets a server that (re)started decide again (DESIGN 5a, open). Run under the row lock of the bucket's position.
-- KEYS: 1 {tag}:head  2 {tag}:events.  ARGV: 1 run  2 last_id (the ledger's position)  3 a random word
-- Returns 'already' | 'whole' (nothing that the ledger holds was lost) | 'behind' (a new life begins).

local head = redis.call('HMGET', KEYS[1], 'run', 'life')
if head[1] == ARGV[1] then return 'already' end

-- Two decimal numbers without leading zeros, compared exactly (they may exceed a double's 53 bits).
local function less(a, b)
  if #a ~= #b then return #a < #b end
  return a < b
end
local function earlier(a, b)
  local a_ms, a_seq = string.match(a, '(%d+)-(%d+)')
  local b_ms, b_seq = string.match(b, '(%d+)-(%d+)')
  if a_ms ~= b_ms then return less(a_ms, b_ms) end
  return less(a_seq, b_seq)
end

local newest = '0-0'
if redis.call('EXISTS', KEYS[2]) == 1 then
  local info = redis.call('XINFO', 'STREAM', KEYS[2])
  for i = 1, #info, 2 do
    if info[i] == 'last-generated-id' then newest = info[i + 1] end
  end
end
local life, found = head[2], 'whole'
if not life or earlier(newest, ARGV[2]) then
  life, found = ARGV[3], 'behind'
  redis.call('DEL', KEYS[2])
  -- A marker that lifts the stream's ids to the ledger's position; no drain reads it, as it is not beyond it.
  if ARGV[2] ~= '0-0' then redis.call('XADD', KEYS[2], ARGV[2], 'opened', '1') end
end
redis.call('HSET', KEYS[1], 'run', ARGV[1], 'life', life, 'nonce', ARGV[3], 'inv', 0)
return found
