-- decide.lua as it stands, at whose writes nothing happens: what it would answer now, and what it has read for that.
-- Called by EVAL_RO, so that Redis itself refuses whatever might slip through. KEYS and ARGV are decide.lua's.
-- Returns {decide.lua's reply, a JSON object of what was read: snapshots by name, 'minute', 'counter', 'life'}

local carry_out, kept, seen = redis.call, '', {snapshots = {}}
local READS = {GET = true, HMGET = true, TIME = true, XLEN = true}
local redis = {}
function redis.call(command, ...)
  if not READS[command] then return 0 end
  local reply, name = carry_out(command, ...), ...
  if command == 'HMGET' and name == KEYS[1] then
    kept, seen.life = string.sub(name, 1, -5) .. (reply[3] or '') .. ':', reply[2]
  elseif command == 'HMGET' then
    seen.counter = {life = reply[1], used = reply[2]}
  elseif command == 'GET' and string.sub(name, 1, #kept) == kept then
    if reply then seen.snapshots[string.sub(name, #kept + 1)] = reply ~= '' and cmsgpack.unpack(reply) end
  elseif command == 'GET' then
    seen.minute = tonumber(reply or 0)
  end
  return reply
end

local function decide()
-- decide.lua stands here (keys/tracing.py)
end

local reply = decide()
return {reply, cjson.encode(seen)}
