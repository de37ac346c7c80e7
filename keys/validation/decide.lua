-- The one place where a call is decided (DESIGN 5a). Atomic; Redis's clock is the only one that counts.
--
-- KEYS: 1 {tag}:head   (every other name is built here and carries the same tag)
-- ARGV: 1 run          the server's run_id as this connection read it
--       2 mode         'decide' | 'preview' (spends and logs nothing) | 'admit' (ends after the minute budget)
--       3 access key   digest, hex         4 api key   digest, hex ('' when admitting)
--       5 cost         6 request           'METHOD ip endpoint', as an event ends with it
--       7 scope        that the access key must allow
--       8 stream max   and with a fill:  9 its JSON   10 nonce   11 inv   12 '1': decide by it even if inv moved
-- (Few words: with ten of 22 left out a call takes a fifth less, in Python as here.)
-- Returns {'CLOSED'} | {'MISS', nonce, inv, now} | {'FULL'} | {'UNAUTHORIZED'}
--       | {outcome, now, budget, budget left, access key id, account id, used, limit, plan name, start, end}
--         outcome: BUSY | FORBIDDEN | ADMITTED | NOT_FOUND | KEY_DISABLED | KEY_EXPIRED | USER_DISABLED: the first six
--                  ALLOWED | OVER_QUOTA: all eleven, plan name false without a plan

local SNAPSHOT_MS, NONE_MS, COUNTER_MS, MINUTE_MS = 600000, 10000, 172800000, 60000
local run, mode, cost = ARGV[1], ARGV[2], tonumber(ARGV[5])
local call, format = redis.call, string.format

local head = call('HMGET', KEYS[1], 'run', 'life', 'nonce', 'inv')
local life, nonce, inv = head[2], head[3], head[4]
if head[1] ~= run then return {'CLOSED'} end
local tag = string.sub(KEYS[1], 1, -5)
local time = call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local function miss() return {'MISS', nonce, inv, now} end

local fill
if ARGV[9] and ARGV[10] == nonce and (ARGV[11] == inv or ARGV[12] == '1') then
  fill = cjson.decode(ARGV[9])
  if ARGV[11] == inv then
    for name, snapshot in pairs(fill.snapshots) do
      if snapshot then
        call('SET', tag .. nonce .. ':' .. name, cmsgpack.pack(snapshot), 'PX', SNAPSHOT_MS)
      else
        call('SET', tag .. nonce .. ':' .. name, '', 'PX', NONE_MS)
      end
    end
  end
end

-- A list of values; false when it is known that there is none; nil when it is not known.
local function recall(name)
  if fill and fill.snapshots[name] ~= nil then return fill.snapshots[name] end
  local packed = call('GET', tag .. nonce .. ':' .. name)
  if not packed then return nil end
  return packed ~= '' and cmsgpack.unpack(packed)
end

-- The access key and its minute.
local access = recall('a:' .. ARGV[3])
if access == nil then return miss() end
if not access then return {'UNAUTHORIZED'} end
local access_id, account, budget, access_expires, scopes, analytics_budget = unpack(access)
if access_expires > 0 and now >= access_expires then return {'UNAUTHORIZED'} end
local minute, minute_name, left = 'm', nil, -1
if ARGV[7] == 'analytics' then minute, budget = 'ma', analytics_budget end  -- a minute of its own
if budget >= 0 then
  minute_name = format('%s%s:%.0f:%.0f', tag, minute, access_id, math.floor(now / MINUTE_MS))
  left = budget - tonumber(call('GET', minute_name) or 0)
  if left <= 0 then return {'BUSY', now, budget, 0, access_id, account} end
end
local function answer(outcome, ...)
  if minute_name then
    if call('INCR', minute_name) == 1 then call('PEXPIRE', minute_name, 2 * MINUTE_MS) end
    left = left - 1
  end
  return {outcome, now, budget, left, access_id, account, ...}
end
if scopes ~= '' and not string.find(scopes, ARGV[7], 1, true) then return answer('FORBIDDEN') end
if mode == 'admit' then return answer('ADMITTED') end

-- The api key.
local prefix = format('%.0f:', account)
local key = recall(prefix .. 'k:' .. ARGV[4])
if key == nil then return miss() end
if not key then return answer('NOT_FOUND') end
local key_id, user_id, plan_id, active, key_expires, secret_expires, subject = unpack(key)
if secret_expires > 0 and now >= secret_expires then return answer('NOT_FOUND') end
if mode == 'decide' and call('XLEN', tag .. 'events') >= tonumber(ARGV[8]) then return {'FULL'} end

-- One event: the words of keys/events.py RECORD. (One field costs half the time of thirteen.)
-- `code` is the outcome in the ledger (keys/models.py Outcome).
local function log(code, logged_subject, span)
  if mode ~= 'decide' then return end
  local who = format('%.0f %.0f %.0f %.0f %.0f ', account, access_id, key_id, user_id, plan_id)
  local what = table.concat({logged_subject, span, code, ARGV[5], ARGV[6]}, ' ')
  call('XADD', tag .. 'events', '*', 'e', who .. what)
end
local function refuse(outcome, code)
  log(code, '-', '0:0')
  return answer(outcome)
end
if not active then return refuse('KEY_DISABLED', 3) end
if key_expires > 0 and now >= key_expires then return refuse('KEY_EXPIRED', 4) end

-- The user, the plan and the window that counts.
local anchor = ''
if user_id > 0 then
  local user = recall(prefix .. format('u:%.0f', user_id))
  if not user then return miss() end
  local disabled, user_plan_id, user_anchor, user_subject = unpack(user)
  if disabled then return refuse('USER_DISABLED', 5) end
  if plan_id == 0 then plan_id, anchor, subject = user_plan_id, user_anchor, user_subject end
end
local limit, period, plan_name = -1, 'month', false
if plan_id > 0 then
  local plan = recall(prefix .. format('p:%.0f', plan_id))
  if not plan then return miss() end
  limit, period, plan_name = unpack(plan)
end
local window = recall(prefix .. 'w:' .. subject)
if not window then return miss() end
local made_for, first, last, next_last, next_used = unpack(window)
if made_for ~= period .. anchor then return miss() end
local succeeds = now >= last and now < next_last
if succeeds then first, last = last, next_last end
if now < first or now >= last then return miss() end

-- Its counter, and the verdict.
local span = format('%.0f:%.0f', first, last)
local counter_name = tag .. prefix .. 'c:' .. subject .. ':' .. span
local counter = call('HMGET', counter_name, 'life', 'used')
local used = tonumber(counter[2])
if counter[1] ~= life then
  if fill and fill.counter == subject .. ':' .. span then used = fill.used
  elseif succeeds then used = next_used
  else return miss() end
  call('HSET', counter_name, 'life', life, 'used', format('%.0f', used))
  call('PEXPIREAT', counter_name, format('%.0f', last + COUNTER_MS))
end
local outcome = (limit < 0 or used + cost <= limit) and 'ALLOWED' or 'OVER_QUOTA'
if outcome == 'ALLOWED' then
  used = used + cost
  if mode == 'decide' and cost > 0 then call('HINCRBY', counter_name, 'used', ARGV[5]) end
end
log(outcome == 'ALLOWED' and 1 or 2, subject, span)
return answer(outcome, used, limit, plan_name, first, last)
