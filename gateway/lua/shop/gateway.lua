-- What happens to a request, in order: route, headers, size, limits by address, token, limits by user, roles; then Nginx
-- passes it on. Also what happens at start.

local cache = require "shop.cache"
local client_address = require "shop.client_address"
local cors = require "shop.cors"
local denylist = require "shop.denylist"
local health = require "shop.health"
local ids = require "shop.ids"
local jwks = require "shop.jwks"
local limits = require "shop.limits"
local login = require "shop.login"
local manifest = require("shop.manifest")
local metrics = require "shop.metrics"
local problems = require "shop.problems"
local process = require "shop.process"
local request = require "shop.request"
local request_headers = require "shop.request_headers"
local resilience = require "shop.resilience"
local router = require "shop.router"
local schema = require "shop.schema"
local tokens = require "shop.tokens"

local ngx = ngx
local var = ngx.var
local get_method = ngx.req.get_method
local now = ngx.now
local band = bit.band
local counted = client_address.counted
local is_plain, path_of, match = router.is_plain, router.path_of, router.match
local scan = request_headers.scan
local draw_id, write_texts, leave_to_maps = ids.draw, ids.write, ids.leave_to_maps
local take, tell_limits = limits.take, limits.tell
local check_token = tokens.check
local begin_route = request.begin
local enter, full, away = resilience.enter, resilience.full, resilience.away

-- `access` is one long piece of machine code; with its usual bounds LuaJIT would give it up and interpret it.
require("jit.opt").start("maxrecord=20000", "maxirconst=4000", "maxtrace=4000", "maxsnap=2000", "maxmcode=8192")

local M = {}

local MAX_AUTHORIZATION = 8192
local PUBLIC, REQUIRED = "public", "required"

local settings

local function refuse_token(route, reason)
  tell_limits(route)
  metrics.count(('gateway_tokens_total{result="%s"}'):format(reason))
  if reason == "no_keys" or reason == "no_denylist" then
    ngx.header["Retry-After"] = "2"
    return problems.answer(503, "service_unavailable", "Access tokens can't be verified at the moment.")
  elseif reason == "missing" then
    ngx.header["WWW-Authenticate"] = "Bearer"
    return problems.answer(401, "unauthorized", "Send an access token: Authorization: Bearer ACCESS.")
  end
  ngx.header["WWW-Authenticate"] = 'Bearer error="invalid_token"'
  return problems.answer(401, "invalid_token", "The access token can't be used: " .. reason:gsub("_", " ") .. ".", { reason = reason })
end

local function refuse_rate(route, policy, wait)
  ngx.header["Retry-After"] = wait
  tell_limits(route, policy, 0, wait)
  return problems.answer(429, "rate_limited", ("Too many requests; try again in %d s."):format(wait), { limit = policy.name })
end

-- Takes one from each limit of `route[list]`, and keeps the tightest one seen so far: it is what RateLimit tells.
-- Returns the tightest limit, what it has left and when it is whole again; false when the request was refused and answered.
local function spend_all(route, list, who, tightest, fewest, reset)
  for _, policy in ipairs(route[list]) do
    local left, seconds = take(policy, who)
    if not left then
      refuse_rate(route, policy, seconds)
      return false
    end
    if left < fewest then
      tightest, fewest, reset = policy, left, seconds
    end
  end
  return tightest, fewest, reset
end

-- The same without a loop for the usual list of one.
local function spend(route, list, who, tightest, fewest, reset)
  local policy = route[list][1]
  if policy == nil then
    return tightest, fewest, reset
  elseif route[list][2] ~= nil then
    return spend_all(route, list, who, tightest, fewest, reset)
  end
  local left, seconds = take(policy, who)
  if not left then
    refuse_rate(route, policy, seconds)
    return false
  elseif left < fewest then
    return policy, left, seconds
  end
  return tightest, fewest, reset
end

local function body_is_too_large(route)
  local length = tonumber(var.http_content_length)
  if not length and var.http_transfer_encoding then
    -- Its size is known only once it was read; nginx.conf bounds that.
    ngx.req.read_body()
    local data = ngx.req.get_body_data()
    local file = not data and ngx.req.get_body_file() and io.open(ngx.req.get_body_file(), "rb")
    length = data and #data or file and file:seek("end") or 0
    if file then
      file:close()
    end
  end
  return length ~= nil and length > route.body
end

local function no_route(path, method)
  local node = match(path)
  if not node then
    return problems.answer(404, "not_found", "There is nothing at this path.")
  elseif method == "OPTIONS" then
    return cors.answer_options(node.allow)
  end
  ngx.header["Allow"] = node.allow
  return problems.answer(405, "method_not_allowed", method .. " is not allowed here; " .. node.allow .. " are.")
end

-- The deadline only changes with the clock's millisecond.
local deadline_at = {}

local function deadline(route)
  local moment = now()
  local seconds = route.seconds
  local kept = deadline_at[seconds]
  if kept.moment ~= moment then
    kept.moment = moment
    kept.text = ("%.3f"):format(moment + seconds)
  end
  return kept.text
end

-- `access` is cut where loops are: LuaJIT compiles a function as one piece only if no loop of uncertain length runs in it.

-- Nil when there is something wrong with it.
local function path_asked()
  local uri = var.request_uri
  if is_plain(uri) or var.shop_malformed == "" then
    return path_of(uri)
  end
end

-- From here on the request counts as one of its service, until `metrics.log` sees its route.
local function begin(route, method, quick, sampled, scheme)
  local log_text = route.log_texts[method]
  if not quick or sampled or not log_text then
    leave_to_maps(sampled)
    var.shop_route = route.label
    var.shop_deadline = deadline(route)
  else
    write_texts(log_text, deadline(route), scheme and var.shop_scheme == "https")
  end
  begin_route(route)
  if not route.answer then
    enter(route.service)
  end
end

local function spend_by_address(route)
  return spend(route, "by_address", counted(), nil, math.huge, 0)
end

--- The access phase of everything but static files.
-- @param sampled  whether a span of the request is kept
function M.access(sampled)
  local authorizations, authorization, body, strip, origin, named, scheme = scan()
  draw_id()
  local path = path_asked()
  if not path then
    leave_to_maps(sampled)
    return ngx.exit(400)
  end
  local method = get_method()
  local node = match(path)
  local route = node and node.routes[method]
  if not route then
    leave_to_maps(sampled)
    return no_route(path, method)
  end

  begin(route, method, authorizations and not named, sampled, scheme)
  if not authorizations or (authorization and #authorization > MAX_AUTHORIZATION) then
    return problems.answer(431, "headers_too_large")
  end
  if strip then
    for index = 1, #strip do
      ngx.req.clear_header(strip[index])
    end
  end
  if origin then
    cors.allow()
  end
  if body and body_is_too_large(route) then
    return problems.answer(413, "payload_too_large", ("At most %d bytes are taken here."):format(route.body))
  end

  local tightest, fewest, reset = spend_by_address(route)
  if route.by_email[1] and tightest ~= false then
    local who = login.email_tried()
    if who then
      tightest, fewest, reset = spend(route, "by_email", who, tightest, fewest, reset)
    end
  end
  if tightest == false then
    return
  end

  if route.auth ~= PUBLIC and (authorizations > 0 or route.auth == REQUIRED) then
    local user, roles
    if authorizations == 1 then
      user, roles = check_token(authorization)
    else
      roles = authorizations == 0 and "missing" or "more_than_one_header"
    end
    if not user then
      return refuse_token(route, roles)
    end
    tightest, fewest, reset = spend(route, "by_user", user, tightest, fewest, reset)
    if tightest == false then
      return
    end
    if route.roles ~= 0 and band(route.roles, roles) == 0 then
      tell_limits(route)
      return problems.answer(403, "permission_denied", "Your account does not have the role that this needs.")
    end
  end

  tell_limits(route, tightest, fewest, reset)
  local service = route.service
  if not route.answer then
    if full(service) then
      return resilience.refuse(service)
    elseif away(service) then
      if not route.cache then
        return resilience.refuse_away(service)
      end
      service = resilience.AWAY
    end
  end
  if not route.fixed then
    var.shop_service = service
  end
  if route.cache then
    if authorizations > 0 then
      ngx.req.clear_header("Authorization")    -- nobody's own answer may ever be kept
    end
    return cache.use(route, path)
  end
  if route.answer then
    return health[route.answer]()
  end
  if route.exec then
    return ngx.exec(route.exec)
  end
end

local function policy_header(lists)
  local texts = {}
  for _, list in ipairs(lists) do
    for _, policy in ipairs(list) do
      texts[#texts + 1] = policy.policy
    end
  end
  return table.concat(texts, ", ")
end

local function prepare(route)
  route.label = route.method .. " " .. route.path
  route.fixed = schema.has_location(route) and not route.websocket and route.time == "normal"
  route.by_address = limits.of(route.limits, "address")
  route.by_user = route.auth == PUBLIC and {} or limits.of(route.limits, "user")
  route.by_email = limits.of(route.limits, "email")
  limits.prepare(route, policy_header({ route.by_address, route.by_email, route.by_user }))
  route.seconds = settings.times[route.time]
  deadline_at[route.seconds] = deadline_at[route.seconds] or {}
  route.id = metrics.name(route.label, {
    service = not route.answer and route.service or nil,
    leave = resilience.leave,
    cache_done = route.cache and cache.done or nil,
  })
  -- HEAD is routed as GET. @websocket has headers of its own.
  route.log_texts = {}
  if not route.websocket then
    route.log_texts[route.method] = ids.log_text(route.method, route.label, route.service)
    route.log_texts.HEAD = route.method == "GET" and ids.log_text("HEAD", route.label, route.service) or nil
  end
  if route.websocket then
    route.exec = "@websocket"
  elseif route.time ~= "normal" then
    route.exec = "@" .. route.time
  end
end

-- Of the environment, which stays as it was when Nginx started; or of a file, which a reload reads again.
local function redis_password()
  local path = os.getenv("REDIS_PASSWORD_FILE")
  if not path or path == "" then
    return os.getenv("REDIS_PASSWORD")
  end
  local file, err = io.open(path)
  if not file then
    error("REDIS_PASSWORD_FILE names a file that can't be read: " .. err, 0)
  end
  local password = file:read("*l")
  file:close()
  return password
end

--- In the master, before the workers start. An error here keeps Nginx from starting, or from taking a new configuration.
-- @param path  of settings.lua, which bin/render wrote
function M.init(path)
  settings = assert(loadfile(path))()
  settings.redis_password = redis_password()
  local config, mistakes = schema.load(settings)
  if not config then
    error("the route table has mistakes:\n" .. mistakes, 0)
  end
  limits.init(config.limits)
  for _, route in ipairs(config.routes) do
    prepare(route)
  end
  resilience.init(settings, schema.SERVICES)
  router.build(config.routes)
  tokens.init(settings)
  health.init(settings)
  manifest.init(settings, config)
  if settings.collector_host then
    require("shop.trace").install(settings)
  end
end

--- In each worker, when it starts.
function M.init_worker()
  -- What is garbage after a request is little beside what lives; to look for it rarely costs a few MB.
  collectgarbage("setpause", 400)
  process.die_with_master()
  ids.start()
  metrics.start()
  jwks.start(settings)
  denylist.start(settings)
  cache.start(settings)
  if settings.collector_host then
    require("shop.trace").start()
  end
end

-- What nginx.conf calls for each request: a global is found faster than a module.
rawset(_G, "shop_access", M.access)
rawset(_G, "shop_again", resilience.again)
rawset(_G, "shop_log", metrics.log)

return M
