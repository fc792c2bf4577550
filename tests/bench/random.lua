-- wrk: GETs of the paths in a file, in an order that jumps about; ends with one line:
-- RESULT requests microseconds failures

local requests, at, step = {}, 0, 7919

function init(args)
  for path in io.lines(args[1]) do
    requests[#requests + 1] = wrk.format("GET", path)
  end
end

function request()
  at = (at + step) % #requests
  return requests[at + 1]
end

function done(summary)
  local e = summary.errors
  print(string.format("RESULT %d %d %d", summary.requests, summary.duration,
    e.connect + e.read + e.write + e.status + e.timeout))
end
