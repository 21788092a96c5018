-- Counters of this gateway in Prometheus' text format. Each worker counts in plain tables and adds them to a shared dict
-- a few times a second, so a request costs no lock and a scrape is hardly late.

local request = require "shop.request"

local ngx = ngx
local finish = request.finish
local now, start_time = ngx.now, ngx.req.start_time
local var = ngx.var
local shared = ngx.shared.shop_metrics

local M = {}

local BOUNDS = { 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10 }
local FLUSH = 0.25  -- s
local SLOTS = 16    -- a route's place in `buckets` is its id times this; the last bucket is #BOUNDS + 1

local ids, labels = {}, {}
local kept = {}    -- by id: whether answers are kept
local services = {}    -- by id
local cache_done, leave
local requests, buckets, seconds = {}, {}, {}
local counters = {}

local HELP = {
  { "gateway_requests_total", "counter", "Requests answered, by route and status" },
  { "gateway_request_duration_seconds", "histogram", "Time from the first byte of a request to the last of its answer" },
  { "gateway_tokens_total", "counter", "Access tokens verified (not from the cache) or refused, by reason" },
  { "gateway_limited_total", "counter", "Requests refused with 429, by limit" },
  { "gateway_limit_evictions_total", "counter", "Clients whose count was dropped because too many were counted at once" },
  { "gateway_retries_total", "counter", "Requests sent again because a service could not be reached" },
  { "gateway_shed_total", "counter", "Requests refused with 503 because too many were waiting, by service" },
  { "gateway_circuit_refused_total", "counter", "Requests refused with 503 because a service has been away for long, by service" },
  { "gateway_cache_total", "counter", "Answers on routes with a cache, by where they came from" },
  { "gateway_cache_polls_failed_total", "counter", "Polls of the versions of cached answers that failed" },
  { "gateway_cache_age_seconds", "gauge", "Since the versions of cached answers were last read" },
  { "gateway_jwks_fetches_total", "counter", "Reads of the public keys of svc-accounts" },
  { "gateway_denylist_failures_total", "counter", "Polls of the deny list that failed" },
  { "gateway_denylist_overflow_total", "counter", "Revoked sessions that found no room" },
  { "gateway_denylist_age_seconds", "gauge", "Since the deny list was last read" },
  { "gateway_jwks_loaded", "gauge", "1 once there is a set of public keys" },
  { "gateway_trace_spans_total", "counter", "Spans of sampled requests, by whether the collector took them" },
  { "gateway_shared_dict_free_bytes", "gauge", "Free pages of a shared dict" },
}

--- Adds one (or `by`) to a counter, named with its labels.
function M.count(name, by)
  counters[name] = (counters[name] or 0) + (by or 1)
end

local CACHED = { none = 'gateway_cache_total{result="none"}' }
for _, how in ipairs({ "HIT", "MISS", "STALE", "BYPASS" }) do
  CACHED[how] = ('gateway_cache_total{result="%s"}'):format(how:lower())
end

local function id_of(label)
  local id = ids[label]
  if not id then
    id = #labels + 1
    ids[label], labels[id] = id, label
  end
  return id
end

--- In the master, for each route.
-- @param options  `service` (nil for the gateway itself) and what is called with it when a request on the route is done,
--                 `leave`; if its answers are kept also `cache_done`
-- @return the id of the route
function M.name(label, options)
  local id = id_of(label)
  services[id], leave = options.service, options.leave
  kept[id] = options.cache_done ~= nil
  cache_done = options.cache_done or cache_done
  return id
end

-- Without a loop, so that LuaJIT compiles `log` as one piece.
local function bucket_of(elapsed)
  if elapsed <= 0.05 then
    return elapsed <= 0.005 and 1 or elapsed <= 0.01 and 2 or elapsed <= 0.025 and 3 or 4
  elseif elapsed <= 0.5 then
    return elapsed <= 0.1 and 5 or elapsed <= 0.25 and 6 or 7
  end
  return elapsed <= 1 and 8 or elapsed <= 2.5 and 9 or elapsed <= 5 and 10 or elapsed <= 10 and 11 or 12
end

--- At the end of each request. The label of a route comes from the route table or nginx.conf, never from a client.
function M.log()
  local route = finish()
  local id = route and route.id or id_of(var.shop_route)
  local place = id * 1000 + ngx.status
  requests[place] = (requests[place] or 0) + 1
  local elapsed = now() - start_time()
  place = id * SLOTS + bucket_of(elapsed)
  buckets[place] = (buckets[place] or 0) + 1
  seconds[id] = (seconds[id] or 0) + elapsed
  local service = services[id]
  if service then
    leave(service)
  end
  if kept[id] then
    cache_done()
    local how = var.shop_x_cache or "none"
    M.count(CACHED[how] or CACHED.none)
  end
end

local function flush()
  for place, count in pairs(requests) do
    shared:incr(('gateway_requests_total{route="%s",status="%d"}'):format(labels[math.floor(place / 1000)], place % 1000), count, 0)
  end
  for place, count in pairs(buckets) do
    local bound = BOUNDS[place % SLOTS] or "+Inf"
    shared:incr(('bucket %s %s'):format(bound, labels[math.floor(place / SLOTS)]), count, 0)
  end
  for id, total in pairs(seconds) do
    shared:incr("seconds " .. labels[id], total, 0)
  end
  for name, count in pairs(counters) do
    shared:incr(name, count, 0)
  end
  requests, buckets, seconds, counters = {}, {}, {}, {}
end

local function histograms(lines)
  for _, key in ipairs(shared:get_keys(0)) do
    local label = key:match("^seconds (.+)$")
    if label then
      local total = 0
      for index = 1, #BOUNDS + 1 do
        local bound = BOUNDS[index] or "+Inf"
        total = total + (shared:get(("bucket %s %s"):format(bound, label)) or 0)
        lines[#lines + 1] = ('gateway_request_duration_seconds_bucket{route="%s",le="%s"} %d'):format(label, bound, total)
      end
      lines[#lines + 1] = ('gateway_request_duration_seconds_sum{route="%s"} %.3f'):format(label, shared:get(key))
      lines[#lines + 1] = ('gateway_request_duration_seconds_count{route="%s"} %d'):format(label, total)
    end
  end
end

local function gauges(lines)
  local age = require("shop.denylist").age()
  if age then
    lines[#lines + 1] = ("gateway_denylist_age_seconds %.3f"):format(age)
  end
  age = require("shop.cache").age()
  if age then
    lines[#lines + 1] = ("gateway_cache_age_seconds %.3f"):format(age)
  end
  lines[#lines + 1] = "gateway_jwks_loaded " .. (require("shop.jwks").loaded() and 1 or 0)
  for name, dict in pairs(ngx.shared) do
    lines[#lines + 1] = ('gateway_shared_dict_free_bytes{dict="%s"} %d'):format(name, dict:free_space())
  end
end

--- The content of /metrics.
function M.answer()
  local lines = {}
  for _, key in ipairs(shared:get_keys(0)) do
    if key:sub(1, 8) == "gateway_" then
      lines[#lines + 1] = ("%s %d"):format(key, shared:get(key))
    end
  end
  histograms(lines)
  gauges(lines)
  table.sort(lines)
  ngx.header["Content-Type"] = "text/plain; version=0.0.4"
  for _, help in ipairs(HELP) do
    local name = help[1]
    ngx.print("# HELP ", name, " ", help[3], "\n# TYPE ", name, " ", help[2], "\n")
    for _, line in ipairs(lines) do
      local found = line:match("^[%w_]+")
      if found == name or (help[2] == "histogram" and found:match("^(.+)_%a+$") == name) then
        ngx.print(line, "\n")
      end
    end
  end
end

function M.start()
  ngx.timer.every(FLUSH, flush)
end

return M
