-- wrk script: POST one chat completion of about 1 KB, with a credential, a gateway key and two metadata headers.
-- BENCH_HEADERS holds what differs between contenders, one "Name: value" per line. The result is one JSON line.

local question = string.rep("How much did each team spend on which feature last month? ", 14)

wrk.method = "POST"
wrk.body = '{"model":"gpt-4o-mini","temperature":0.2,"max_tokens":256,"messages":['
  .. '{"role":"system","content":"You answer briefly, with figures, and name the source of each."},'
  .. '{"role":"user","content":"' .. question .. '"}]}'
wrk.headers["Content-Type"] = "application/json"
wrk.headers["X-Majordomo-Feature"] = "benchmark"
wrk.headers["X-Majordomo-Team"] = "platform"

for line in string.gmatch(os.getenv("BENCH_HEADERS") or "", "[^\n]+") do
  local name, value = string.match(line, "^([^:]+):%s*(.*)$")
  wrk.headers[name] = value
end

function done(summary, latency, requests)
  local errors = summary.errors
  io.write(string.format(
    'RESULT {"requests":%d,"microseconds":%d,"p50_us":%d,"p99_us":%d,"not_2xx":%d,"socket_errors":%d}\n',
    summary.requests, summary.duration, latency:percentile(50), latency:percentile(99), errors.status,
    errors.connect + errors.read + errors.write + errors.timeout))
end
