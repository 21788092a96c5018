-- What happens when a service is restarted or has more to do than it can: requests for one that refuses connections wait a
-- little and are sent again, and of too many at once some are refused before everything gets slow.

local metrics = require "shop.metrics"
local problems = require "shop.problems"
local shared = require "shop.shared_memory"

local ngx = ngx
local var = ngx.var
local now = ngx.now
local outages = shared.memory.outages

local M = {}

-- Nginx follows ten redirects of one request, and each wait takes one.
local PAUSES = { 0.05, 0.15, 0.3, 0.5, 0.8, 1, 1.1, 1.1 }
local PAUSES_TOTAL = 5
local NEW_AFTER = 10    -- s without a refusal after which the next one begins an outage of its own

local IDEMPOTENT = { GET = true, HEAD = true, PUT = true, DELETE = true }

local patience, most
local places, in_flight, shed = {}, {}, {}

--- In the master.
-- @param services  names of all services
function M.init(settings, services)
  patience, most = settings.patience, settings.in_flight
  for index, service in ipairs(services) do
    places[service] = index - 1
    in_flight[service] = 0
    shed[service] = ('gateway_shed_total{service="%s"}'):format(service)
  end
end

--- One request more for a service in this worker. `leave` takes it back.
function M.enter(service)
  in_flight[service] = in_flight[service] + 1
end

function M.leave(service)
  in_flight[service] = in_flight[service] - 1
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

-- How long the service has refused connections, in one go.
local function outage(service)
  local place = places[service]
  local moment = now()
  if moment - outages[place].latest > NEW_AFTER then
    outages[place].began = moment
  end
  outages[place].latest = moment
  return moment - outages[place].began
end

--- In place of a request that Nginx could not get answered (502): waits and lets it be sent again, or says the problem.
-- Sent again is what never reached the service, what changes nothing when it comes twice, and what the service itself
-- recognises by its Idempotency-Key.
function M.again()
  local service = var.shop_service
  local tried = tonumber(var.shop_tries) or 0
  local pause = PAUSES[tried + 1]
  local unreached = (var.upstream_connect_time or "-"):sub(-1) == "-"
  if patience == 0 then
    return problems.of_nginx(502)
  end
  if not unreached and not IDEMPOTENT[ngx.req.get_method()] and not var.http_idempotency_key then
    return problems.of_nginx(502)
  end
  -- An answer that can't be used is no outage: sent once more at most.
  if not pause or (not unreached and tried > 0) then
    return problems.of_nginx(502)
  end
  local deadline = tonumber(var.shop_deadline)
  if outage(service) > patience or (deadline and now() + pause + 0.2 > deadline) then
    return problems.of_nginx(502)
  end
  metrics.count("gateway_retries_total")
  var.shop_tries = tried + 1
  ngx.sleep(pause * patience / PAUSES_TOTAL)
end

return M
