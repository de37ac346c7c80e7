-- Makes validate forget (DESIGN 5a, invalidate): a fill under way sees another inv, kept snapshots go.
-- KEYS: 1 {tag}:head.  ARGV: names of snapshots, without tag and nonce.
-- A bucket without a nonce was never opened, or Redis lost it: opening makes a new nonce, so there is nothing to forget.

local nonce = redis.call('HGET', KEYS[1], 'nonce')
if not nonce then return 0 end
redis.call('HINCRBY', KEYS[1], 'inv', 1)
local tag = string.sub(KEYS[1], 1, -5)
local forgotten = 0
for _, name in ipairs(ARGV) do
  forgotten = forgotten + redis.call('DEL', tag .. nonce .. ':' .. name)
end
return forgotten
