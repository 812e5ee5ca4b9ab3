-- For wrk: a POST of another ping each time. wrk -s ping.lua URL -- PARTS INSTALLS SEED
-- PARTS is a file of two lines a template, what stands before and behind the number of the install; INSTALLS how many
-- there are. One request costs a random number and two concatenations: the load must not be the limit.
-- The server tells the country by the address of the connection, and makes the id.

local heads, tails, installs = {}, {}, 1
local random, format = math.random, string.format

function init(args)
   local host = wrk.host
   if wrk.port then host = host .. ":" .. wrk.port end
   local head = "POST " .. wrk.path .. " HTTP/1.1\r\nHost: " .. host .. "\r\nContent-Type: application/json\r\nContent-Length: "
   local lines = io.lines(args[1])
   for before in lines do
      local behind = lines()
      heads[#heads + 1] = head .. (#before + 12 + #behind) .. "\r\n\r\n" .. before
      tails[#tails + 1] = behind
   end
   installs = tonumber(args[2])
   math.randomseed(tonumber(args[3]))
end

function request()
   local install = random(0, installs - 1)
   local template = install % #heads + 1
   return heads[template] .. format("%012d", install) .. tails[template]
end

-- Latencies in microseconds. wrk counts a status above 399 as an error; other than 2xx there is none below it here.
function done(summary, latency, requests)
   local errors = summary.errors
   io.write(format(
      'RESULT {"requests":%d,"duration_us":%d,"p50_us":%d,"p99_us":%d,"statuses":%d,"sockets":%d,"timeouts":%d}\n',
      summary.requests, summary.duration, latency:percentile(50), latency:percentile(99),
      errors.status, errors.connect + errors.read + errors.write, errors.timeout))
end
