-- A window's use is reset, more is granted, or what is left of that is taken back, by an event with an amount
-- (DESIGN 5a). Atomic; Redis's clock decides.
--
-- KEYS: 1 {tag}:head   (every other name is built here and carries the same tag)
-- ARGV: 1 account      2 subject      3 start, ms   4 end, ms
--       5 kind         'grant' | 'reset' | 'take'   6 units granted; taken back at most; 0 for a reset
--       7 request      names this wish: carried out once, however often it is sent
--       8 plan         9 kind of actor  10 its name  11 reason    (what the event tells besides)
--       12 stream max  13 granted max  14 limit of the plan
--       and with a fill:  15 nonce  16 used  17 granted   as the ledger has them
-- Returns {'CLOSED', run} | {'MISS', nonce} | {'FULL'} | {'ENDED'} | {'NOTHING'} | {'TOO_MUCH'}
--       | {'ADJUSTED' | 'REPEATED', amount, used, granted}
--
-- A counter's `used` is what was spent, less what was granted. Here alone the two are told apart, by a field of the
-- counter that names its life: decide.lua writes a counter of a new life over the old one and knows nothing of it.

local COUNTER_MS = 172800000
local call, format = redis.call, string.format
local account, subject, first, last = ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])
local kind, units = ARGV[5], tonumber(ARGV[6])

-- Asked here, so that no connection which silently went to another server can name the wrong one.
local run = string.match(call('INFO', 'server'), 'run_id:(%x+)')
local head = call('HMGET', KEYS[1], 'run', 'life', 'nonce')
local life, nonce = head[2], head[3]
if head[1] ~= run then return {'CLOSED', run} end
local tag = string.sub(KEYS[1], 1, -5)
local time = call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

local span = ARGV[3] .. ':' .. ARGV[4]
local counter_name = tag .. account .. ':c:' .. subject .. ':' .. span
local granted_field, done_field = 'granted:' .. life, 'done:' .. life .. ':' .. ARGV[7]
local counter = call('HMGET', counter_name, 'life', 'used', granted_field, done_field)
local is_live = counter[1] == life
local used, granted = tonumber(counter[2]), tonumber(counter[3])
if is_live and counter[4] then return {'REPEATED', tonumber(counter[4]), used, granted} end
if now < first or now >= last then return {'ENDED'} end
if not is_live or not granted then
  if ARGV[15] ~= nonce then return {'MISS', nonce} end
  if not is_live then used = tonumber(ARGV[16]) end
  granted = tonumber(ARGV[17])
end
if call('XLEN', tag .. 'events') >= tonumber(ARGV[12]) then return {'FULL'} end

local amount = -units
if kind == 'reset' then amount = -(used + granted) end
if kind == 'take' then amount = math.min(units, granted, tonumber(ARGV[14]) - used) end
local is_something = amount < 0
if kind == 'take' then is_something = amount > 0 end
if not is_something then return {'NOTHING'} end
if kind ~= 'reset' then granted = granted - amount end
if granted > tonumber(ARGV[13]) then return {'TOO_MUCH'} end
used = used + amount
-- The words of keys/events.py ADJUSTMENT_RECORD.
local words = {account, subject, span, kind, format('%.0f', amount), ARGV[8], ARGV[7], ARGV[9]}
call('XADD', tag .. 'events', '*', 'a', table.concat(words, ' '), 'by', ARGV[10], 'why', ARGV[11])
call('HSET', counter_name, 'life', life, 'used', format('%.0f', used), granted_field, format('%.0f', granted),
     done_field, format('%.0f', amount))
call('PEXPIREAT', counter_name, format('%.0f', last + COUNTER_MS))
return {'ADJUSTED', amount, used, granted}
