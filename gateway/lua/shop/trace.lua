-- Spans of sampled requests, sent to a collector as OTLP/JSON. Loaded only where there is one: it then stands around the
-- functions that nginx.conf calls. What is not sampled pays one random number and one look into a table; what is sampled is
-- put into a table, and a timer sends it. Nothing waits for the collector, and nothing is kept for it for long.

local cjson = require "cjson.safe"
local metrics = require "shop.metrics"
local request = require "shop.request"

local ngx = ngx
local var = ngx.var
local now, start_time = ngx.now, ngx.req.start_time
local random = math.random
local match = string.match
local number = request.number

local M = {}

local FLUSH = 0.5    -- s
local MOST = 4096    -- requests of a worker that wait for the timer
local BATCH = 512    -- in one POST
local TIMEOUT = 1000 -- ms for each step of one
local PAUSE = 5      -- s without a try after a failure
local SENT, DROPPED = 'gateway_trace_spans_total{outcome="sent"}', 'gateway_trace_spans_total{outcome="dropped"}'
local SERVER, ERROR = 2, 2

local settings
local samples = {}    -- by request, those that are under way
local queue, queued = {}, 0
local sending, rest_until = false, 0

-- Where clients are developers and tests, they say by their own context what is sampled; else nobody outside has a say.
local function wanted()
  local context = settings.trace_clients and var.http_traceparent
  local flags = context and match(context, "^00%-%x+%-%x+%-%x(%x)$")
  if flags then
    return tonumber(flags, 16) % 2 == 1
  end
  return random() < settings.trace_ratio
end

local function remember()
  if queued >= MOST then
    return metrics.count(DROPPED)
  end
  queued = queued + 1
  local trace, span = match(var.shop_traceparent, "^00%-(%x+)%-(%x+)%-01$")
  queue[queued] = {
    trace = trace,
    span = span,
    parent = var.shop_trace_parent,
    route = var.shop_route,
    status = ngx.status,
    from = start_time(),
    to = now(),
    request = var.shop_request_id,
    service = var.shop_service,
    upstream = var.upstream_response_time,
    cache = var.shop_x_cache,
    problem = var.shop_problem,
  }
end

local function text(attributes, name, value)
  if value and value ~= "" then
    attributes[#attributes + 1] = { key = name, value = { stringValue = value } }
  end
end

local function nanoseconds(seconds)
  return ("%.0f000000"):format(seconds * 1000)
end

local function span_of(entry)
  local method, path = match(entry.route, "^(%u+) (.+)$")
  local attributes = { { key = "http.response.status_code", value = { intValue = ("%d"):format(entry.status) } } }
  text(attributes, "http.request.method", method)
  text(attributes, "http.route", path or entry.route)
  text(attributes, "shop.request_id", entry.request)
  text(attributes, "shop.upstream", entry.service)
  text(attributes, "shop.upstream_seconds", entry.upstream)
  text(attributes, "shop.cache", entry.cache)
  text(attributes, "shop.problem", entry.problem)
  return {
    traceId = entry.trace,
    spanId = entry.span,
    parentSpanId = entry.parent,
    name = entry.route == "-" and "no route" or entry.route,
    kind = SERVER,
    startTimeUnixNano = nanoseconds(entry.from),
    endTimeUnixNano = nanoseconds(entry.to),
    attributes = attributes,
    status = entry.status >= 500 and { code = ERROR, message = ("%d"):format(entry.status) } or { code = 0 },
  }
end

local function post(body)
  local socket = ngx.socket.tcp()
  socket:settimeouts(TIMEOUT, TIMEOUT, TIMEOUT)
  local fine, err = socket:connect(settings.collector_host, settings.collector_port)
  if not fine then
    return nil, err
  end
  local head = ("POST /v1/traces HTTP/1.1\r\nHost: %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n")
    :format(settings.collector_host, #body)
  local line
  fine, err = socket:send(head .. body)
  if fine then
    line, err = socket:receive("*l")
  end
  socket:close()
  if not line then
    return nil, err
  end
  return match(line, "^HTTP/1%.%d 2%d%d") and true or nil, line
end

local function send(batch)
  local spans = {}
  for index, entry in ipairs(batch) do
    spans[index] = span_of(entry)
  end
  local body = cjson.encode({
    resourceSpans = {
      {
        resource = { attributes = { { key = "service.name", value = { stringValue = "gateway" } } } },
        scopeSpans = { { scope = { name = "gateway" }, spans = spans } },
      },
    },
  })
  local fine, why = post(body)
  if not fine then
    rest_until = now() + PAUSE
    ngx.log(ngx.NOTICE, "the collector of traces takes nothing: ", why)
  end
  return fine
end

local function flush(premature)
  if queued == 0 or sending then
    return
  end
  local taken, count = queue, queued
  queue, queued = {}, 0
  sending = true
  for first = 1, count, BATCH do
    local batch = { unpack(taken, first, math.min(first + BATCH - 1, count)) }
    local fine = not premature and now() >= rest_until and send(batch)
    metrics.count(fine and SENT or DROPPED, #batch)
  end
  sending = false
end

--- In the master, once `shop.gateway` has said what nginx.conf calls.
-- @param given  `collector_host`, `collector_port`, `trace_ratio` (0 to 1) and `trace_clients`, whether clients have a say
function M.install(given)
  settings = given
  local access, log = rawget(_G, "shop_access"), rawget(_G, "shop_log")
  rawset(_G, "shop_access", function()
    local sampled = wanted()
    if sampled then
      samples[number()] = true
    end
    return access(sampled)
  end)
  rawset(_G, "shop_log", function()
    local place = number()
    if samples[place] then
      samples[place] = nil
      remember()
    end
    return log()
  end)
end

--- In each worker.
function M.start()
  math.randomseed(ngx.worker.pid() + ngx.now() * 1000)
  ngx.timer.every(FLUSH, flush)
end

return M
