-- wrk's part: each thread goes round the calls of the file in WRK_CALLS (JSON lines made by the benchmark: one
-- request a line, its headers and body parted by tabs), and says at the end what it saw in one line of JSON.
local calls = {}
for line in io.lines(os.getenv("WRK_CALLS")) do
  local path, header, value, body = line:match("([^\t]*)\t([^\t]*)\t([^\t]*)\t([^\t]*)")
  calls[#calls + 1] = wrk.format("POST", path, {[header] = value, ["Content-Type"] = "application/json"}, body)
end

-- Sixteen # in a call stand for digits that no other call has, of whichever thread and run.
local threads = 0
function setup(thread) threads = threads + 1 thread:set("thread_number", threads) end
local at, sent = 0, 0
function init() math.randomseed(tonumber(tostring({}):match("0x(%x+)"), 16) or 1) at = math.random(#calls) end
function request()
  at, sent = at % #calls + 1, sent + 1
  if not calls[at]:find("################", 1, true) then return calls[at] end
  return (calls[at]:gsub("################", string.format("%06d%02d%08d", os.time() % 1000000, thread_number, sent)))
end
-- With WRK_PAUSE_MS each connection waits so long between an answer and its next request.
local pause = tonumber(os.getenv("WRK_PAUSE_MS") or "0")
if pause > 0 then function delay() return pause end end
function done(summary, latency)
  local errors = summary.errors
  io.write(string.format('{"requests":%d,"seconds":%.3f,"p50_ms":%.3f,"p99_ms":%.3f,"failed":%d}\n', summary.requests,
    summary.duration / 1e6, latency:percentile(50) / 1e3, latency:percentile(99) / 1e3,
    errors.status + errors.connect + errors.read + errors.write + errors.timeout))
end
