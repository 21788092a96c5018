-- The route table, read and checked. Every mistake becomes a sentence with the line of routes.lua it stands on.

local M = {}

local METHODS = { GET = true, POST = true, PUT = true, PATCH = true, DELETE = true }
local AUTH = { public = true, optional = true, required = true }
local LIMIT_BY = { address = true, user = true, email = true }
local TOP = { limits = true, times = true }
M.SERVICES = {
  "svc-accounts", "svc-catalog", "svc-cart", "svc-orders", "svc-payments", "svc-notifications", "svc-notifications-live",
}
local OWNERS = { gateway = true }
for _, service in ipairs(M.SERVICES) do
  OWNERS[service] = true
end
local ANSWERS = { healthz = true, readyz = true }
local CACHES = { lists = true, product = true }
local CACHED_BELOW = "/api/v1/catalog/"    -- the location with a cache in nginx.conf.template
-- What lies below the path of its own service has a location that passes it on, but for that with a cache, which passes on to
-- whom lua/shop/gateway.lua says.
local OWN_PATH = "/api/v1/"
local UNITS = { [""] = 1, k = 1024, m = 1024 * 1024 }

-- A role and everybody who includes it, as bits of the mask that a verified token carries.
M.ROLES = { customer = 1, seller = 2, staff = 4, admin = 8 }
local ROLE_ACCEPTS = { customer = 1, seller = 2, staff = 4 + 8, admin = 8 }

local function sorted(set)
  local names = {}
  for name in pairs(set) do
    names[#names + 1] = name
  end
  table.sort(names)
  return table.concat(names, ", ")
end

--- Whether nginx.conf.template has a location that passes this route on to its service and to no other.
function M.has_location(route)
  local own = OWN_PATH .. route.service:gsub("^svc%-", "")
  return own .. "/" ~= CACHED_BELOW and (route.path == own or route.path:sub(1, #own + 1) == own .. "/")
end

--- "64k" -> 65536, or nil when it is not a size.
function M.bytes(text)
  local count, unit = tostring(text):match("^(%d+)([km]?)$")
  return count and tonumber(count) * UNITS[unit]
end

--- `"20/1s burst 40"` -> 20, 1, 40; `"off"` -> false; anything else nil. Seconds are whole.
function M.rate(text)
  if text == "off" then
    return false
  end
  local allow, seconds, burst = text:match("^(%d+)/(%d+)s burst (%d+)$")
  allow, seconds, burst = tonumber(allow), tonumber(seconds), tonumber(burst)
  if not allow or allow < 1 or seconds < 1 or burst < 1 then
    return nil
  end
  return allow, seconds, burst
end

local FIELDS = {
  auth = function(value)
    return AUTH[value], "auth must be one of " .. sorted(AUTH)
  end,
  roles = function(value)
    if type(value) ~= "table" or #value == 0 then
      return false, "roles must be a list like { \"staff\" }"
    end
    for _, role in ipairs(value) do
      if not ROLE_ACCEPTS[role] then
        return false, ("there is no role %s; there are %s"):format(tostring(role), sorted(ROLE_ACCEPTS))
      end
    end
    return true
  end,
  limits = function(value, table_of)
    if type(value) ~= "table" then
      return false, "limits must be a list of names"
    end
    for _, name in ipairs(value) do
      if not table_of.limits[name] then
        return false, ("there is no limit %s; there are %s"):format(tostring(name), sorted(table_of.limits))
      end
    end
    return true
  end,
  body = function(value, table_of)
    local size = M.bytes(value)
    if not size then
      return false, "body must be a size like \"64k\" or \"11m\""
    end
    return size <= table_of.body_max, "body is larger than GATEWAY_BODY_MAX allows"
  end,
  time = function(value, table_of)
    return table_of.times[value], "time must be one of " .. sorted(table_of.times)
  end,
  cache = function(value)
    return CACHES[value], "cache must be one of " .. sorted(CACHES)
  end,
  answer = function(value)
    return ANSWERS[value], "answer must be one of " .. sorted(ANSWERS)
  end,
  websocket = function(value)
    return type(value) == "boolean", "websocket must be true or false"
  end,
}

local function path_mistake(path)
  if type(path) ~= "string" or path:sub(1, 1) ~= "/" then
    return "a path begins with /"
  end
  for segment in path:gmatch("/([^/]*)") do
    local last = #path - #segment + 1
    if segment == "**" then
      if path:sub(-3) ~= "/**" or path:find("**", 1, true) ~= last then
        return "/** can only be the end of a path"
      end
    elseif not segment:match("^[%w._-]+$") and not segment:match("^{[%a_]+}$") then
      return ("%q is neither a plain segment nor {name}"):format(segment)
    end
  end
end

local function check_limits(limits, overrides, complain)
  for name, limit in pairs(limits) do
    local whole = true
    for _, field in ipairs({ "allow", "seconds", "burst" }) do
      local value = limit[field]
      whole = whole and type(value) == "number" and value >= 1 and value % 1 == 0
    end
    if not LIMIT_BY[limit.by] then
      complain(("limit %s: by must be one of %s"):format(name, sorted(LIMIT_BY)))
    elseif not whole then
      complain(("limit %s: allow, seconds and burst must be whole numbers of at least 1"):format(name))
    end
  end
  for name, text in pairs(overrides) do
    local limit = limits[name]
    local allow, seconds, burst = M.rate(text)
    if not limit then
      complain(("GATEWAY_LIMIT_%s: there is no such limit"):format(name:upper()))
    elseif allow == nil then
      complain(("GATEWAY_LIMIT_%s must look like \"20/1s burst 40\" or be \"off\", not %q"):format(name:upper(), text))
    elseif allow == false then
      limit.off = true
    else
      limit.allow, limit.seconds, limit.burst = allow, seconds, burst
    end
  end
end

local function read(path, lines)
  local chunk, err = loadfile(path)
  if not chunk then
    return nil, err
  end
  setfenv(chunk, {
    route = function(methods, route_path, options)
      local made = { methods = methods, path = route_path, options = options }
      lines[made] = debug.getinfo(2, "l").currentline
      return made
    end,
  })
  local fine, result = pcall(chunk)
  if not fine then
    return nil, tostring(result)
  end
  if type(result) ~= "table" or type(result.limits) ~= "table" or type(result.times) ~= "table" then
    return nil, path .. " must return a table with limits, times and the routes of each service"
  end
  return result
end

local function role_mask(roles)
  local mask = 0
  for _, role in ipairs(roles or {}) do
    mask = bit.bor(mask, ROLE_ACCEPTS[role])
  end
  return mask
end

local function check_route(made, where, known, seen, complain)
  local options = made.options
  if type(options) ~= "table" or type(made.methods) ~= "string" then
    return complain(where .. 'a route is written as route("GET", "/path", { auth = "public" })')
  end
  local mistake = path_mistake(made.path)
  if mistake then
    return complain(("%s%s: %s"):format(where, tostring(made.path), mistake))
  end
  where = where .. made.path .. ": "
  for name, value in pairs(options) do
    local check = FIELDS[name]
    if not check then
      complain(("%sthere is no option %s; there are %s"):format(where, tostring(name), sorted(FIELDS)))
    else
      local fine, sentence = check(value, known)
      if not fine then
        complain(where .. sentence)
      end
    end
  end
  if options.auth == nil then
    complain(where .. "auth is missing")
  end
  if options.roles and options.auth ~= "required" then
    complain(where .. 'roles need auth = "required"')
  end
  if options.cache and (options.auth ~= "public" or made.methods ~= "GET") then
    complain(where .. 'cache needs auth = "public" and GET alone')
  end
  if options.cache and made.path:sub(1, #CACHED_BELOW) ~= CACHED_BELOW then
    complain(where .. "cache is for paths below " .. CACHED_BELOW .. "")
  end
  local count = 0
  local shape = made.path:gsub("{[%a_]+}", "{}")
  for method in made.methods:gmatch("%S+") do
    count = count + 1
    if not METHODS[method] then
      complain(("%sthere is no method %s; there are %s"):format(where, method, sorted(METHODS)))
    elseif seen[method .. shape] then
      complain(("%s%s stands already on line %d"):format(where, method, seen[method .. shape]))
    else
      seen[method .. shape] = known.line
    end
  end
  if count == 0 then
    complain(where .. "it has no method")
  end
end

--- Reads and checks the table.
-- @param settings  as bin/render wrote them: `routes` (path of routes.lua), `limits` (overrides by name), `times`, `body_max`
-- @return `{ limits = {name = {by, allow, seconds, burst, off}}, routes = {{method, path, service, auth, roles (mask),
--         limits, body (bytes), time, answer, cache, websocket}} }`, or nil and one sentence a line
function M.load(settings)
  local path = settings.routes
  local lines = {}
  local raw, err = read(path, lines)
  if not raw then
    return nil, err
  end
  local mistakes = {}
  local function complain(sentence)
    mistakes[#mistakes + 1] = sentence
  end

  check_limits(raw.limits, settings.limits, complain)
  local known = { limits = raw.limits, body_max = M.bytes(settings.body_max), times = {} }
  for _, name in ipairs(raw.times) do
    known.times[name] = true
    if not settings.times[name] then
      complain(("times: there is no GATEWAY_TIME_%s"):format(tostring(name):upper()))
    end
  end
  local file = path:match("[^/]+$")
  local routes, seen = {}, {}
  for owner, list in pairs(raw) do
    if OWNERS[owner] then
      for position, made in ipairs(list) do
        if not lines[made] then
          complain(("%s: entry %d of %s is not a route(...)"):format(file, position, owner))
        else
          known.line = lines[made]
          local where = ("%s line %d: "):format(file, known.line)
          local before = #mistakes
          check_route(made, where, known, seen, complain)
          local options = made.options
          if #mistakes == before and (owner == "gateway") ~= (options.answer ~= nil) then
            complain(where .. made.path .. ": answer belongs to the routes of the gateway itself, and to all of them")
          end
          if #mistakes == before then
            for method in made.methods:gmatch("%S+") do
              routes[#routes + 1] = {
                method = method, path = made.path, service = owner, auth = options.auth,
                roles = role_mask(options.roles), limits = options.limits or { "address", "user" },
                body = M.bytes(options.body or "64k"), time = options.time or raw.times[1],
                answer = options.answer, cache = options.cache, websocket = options.websocket or false,
              }
            end
          end
        end
      end
    elseif not TOP[owner] then
      complain(("%s: there is no service %s; there are %s"):format(file, tostring(owner), sorted(OWNERS)))
    end
  end
  if #mistakes > 0 then
    local function line_of(sentence)
      return tonumber(sentence:match(" line (%d+)")) or 0
    end
    table.sort(mistakes, function(one, other)
      local first, second = line_of(one), line_of(other)
      return first < second or (first == second and one < other)
    end)
    return nil, table.concat(mistakes, "\n")
  end
  table.sort(routes, function(one, other)
    return one.path .. " " .. one.method < other.path .. " " .. other.method
  end)
  return { limits = raw.limits, routes = routes }
end

--- For bin/render: ends the process, with the mistakes on standard error if there are some. Without any, the manifest of
-- what would run lies at `manifest_path`.
function M.check(settings_path, manifest_path)
  local ran, settings = pcall(dofile, settings_path)
  local config, mistakes
  if ran then
    config, mistakes = M.load(settings)
  else
    mistakes = settings
  end
  if config then
    require("shop.manifest").write(manifest_path, settings, config)
    os.exit(0)
  end
  for sentence in mistakes:gmatch("[^\n]+") do
    io.stderr:write("gateway: ", sentence, "\n")
  end
  os.exit(1)
end

return M
