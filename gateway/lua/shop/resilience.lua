-- What happens when a service is restarted or has more to do than it can: requests for one that can't be reached wait a little
-- and are sent again; when it stays away for longer, a circuit opens: requests are refused at once, but for one now and then that
-- finds out whether it is back (docs/decisions/0011); and of too many at once some are refused before everything gets slow.

local metrics = require "shop.metrics"
local problems = require "shop.problems"
local request = require "shop.request"
local shared = require "shop.shared_memory"

local ngx = ngx
local var = ngx.var
local now, start_time = ngx.now, ngx.req.start_time
local outages = shared.memory.outages

local M = {
  --- The upstream that nobody is behind: what is kept can be served from the cache, and the rest fails at once.
  AWAY = "svc-away",
}

-- Nginx follows ten redirects of one request, and each wait takes one.
local PAUSES = { 0.05, 0.15, 0.3, 0.5, 0.8, 1, 1.1, 1.1 }
local PAUSES_TOTAL = 5
local NEW_AFTER = 10      -- s in which nobody failed after which the next failure begins an outage of its own
local PROBE_AFTER = 0.2   -- s after one request that tried a service whose circuit is open, the next one may
local SILENT_AFTER = 1    -- s, when nothing answered at all: to try has cost that request the time-out

local IDEMPOTENT = { GET = true, HEAD = true, PUT = true, DELETE = true }

local patience, most
local places, in_flight, shed, refused = {}, {}, {}, {}

--- In the master.
-- @param services  names of all services
function M.init(settings, services)
  patience, most = settings.patience, settings.in_flight
  for index, service in ipairs(services) do
    places[service] = index - 1
    in_flight[service] = 0
    shed[service] = ('gateway_shed_total{service="%s"}'):format(service)
    refused[service] = ('gateway_circuit_refused_total{service="%s"}'):format(service)
  end
end

--- One request more for a service in this worker. `leave` takes it back.
function M.enter(service)
  in_flight[service] = in_flight[service] + 1
end

local function was_reached()
  local times = var.upstream_connect_time
  return times ~= nil and times:sub(-1) ~= "-"
end

function M.leave(service)
  in_flight[service] = in_flight[service] - 1
  local outage = outages[places[service]]
  -- Who was there before the outage may finish in it, and proves nothing.
  if outage.began ~= 0 and start_time() > outage.began and was_reached() then
    outage.began = 0
  end
end

--- Whether a service has as much to do as it may.
function M.full(service)
  return in_flight[service] > most
end

function M.refuse(service)
  metrics.count(shed[service])
  ngx.header["Retry-After"] = "1"
  return problems.answer(503, "service_unavailable", "Too many requests are waiting for this part of the shop.")
end

local function is_open(outage)
  local moment = now()
  if outage.latest - outage.began <= patience or moment - outage.latest > NEW_AFTER then
    return false
  elseif moment >= outage.probe_at then
    outage.probe_at = moment + PROBE_AFTER    -- the one who asks goes and looks
    return false
  end
  return true
end

--- Whether the circuit of a service is open, for the one who asks.
function M.away(service)
  local outage = outages[places[service]]
  return outage.began ~= 0 and is_open(outage)
end

function M.refuse_away(service)
  metrics.count(refused[service])
  ngx.header["Retry-After"] = "1"
  return problems.answer(503, "service_unavailable")
end

-- Notes that a service could not be reached, or not even heard of.
-- @return for how long that has been so, in one go
local function unreachable(service, silent)
  local outage = outages[places[service]]
  local moment = now()
  if outage.began == 0 or moment - outage.latest > NEW_AFTER then
    outage.began = moment
  end
  outage.latest = moment
  outage.probe_at = moment + (silent and SILENT_AFTER or PROBE_AFTER)
  return moment - outage.began
end

--- In place of a request that Nginx could not get answered (502, 504): waits and lets it be sent again, or says the problem.
-- Sent again is what never reached the service, what changes nothing when it comes twice, and what the service itself
-- recognises by its Idempotency-Key. A service that took a request and is late is not asked again.
function M.again()
  local service = var.shop_service
  if service == nil or service == "" then
    service = request.route().service
    var.shop_service = service
  end
  local status = tonumber((var.upstream_status or "502"):sub(-3)) or 502
  local tried = tonumber(var.shop_tries) or 0
  local pause = PAUSES[tried + 1]
  local reached = was_reached()
  if service == M.AWAY or patience == 0 then
    return problems.of_nginx(status)
  end
  local away_for = reached and 0 or unreachable(service, status == 504)
  if not pause or away_for > patience then
    return problems.of_nginx(status)
  end
  if reached then
    -- An answer that can't be used is no outage: sent once more at most.
    local harmless = IDEMPOTENT[ngx.req.get_method()] or var.http_idempotency_key
    if status == 504 or tried > 0 or not harmless then
      return problems.of_nginx(status)
    end
  end
  local deadline = tonumber(var.up:match("X%-Request%-Deadline: ([%d.]+)$"))
  if deadline and now() + pause + 0.2 > deadline then
    return problems.of_nginx(status)
  end
  metrics.count("gateway_retries_total")
  var.shop_tries = tried + 1
  ngx.sleep(pause * patience / PAUSES_TOTAL)
end

return M
