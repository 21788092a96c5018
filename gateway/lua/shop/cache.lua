-- What an answer from the cache is kept under. Nginx keeps and serves the answers (proxy_cache in nginx.conf); whatever makes
-- one old changes its key, so that the next read finds nothing and asks the service.
--
--   gateway:cache:catalog            grows when lists and categories may have changed
--   gateway:cache:products           sorted set: id (hex digits) or slug of a product, by the number of its last change
--   gateway:cache:products:version   the highest of these numbers
--
-- svc-catalog writes them (catalog/services/gateway_cache.py); one worker reads them a few times a second. While Redis is
-- away, nobody would tell of a change: then an answer is kept for two seconds. After it, everything kept before is
-- discarded, since a change may have been missed.

local metrics = require "shop.metrics"
local redis = require "shop.redis"
local shared = require "shop.shared_memory"

local ngx = ngx
local var = ngx.var
local now = ngx.now
local find, sub, gsub, lower, gmatch = string.find, string.sub, string.gsub, string.lower, string.gmatch
local floor = math.floor
local versions = ngx.shared.shop_cache_versions    -- by id or slug of a product
local turns = ngx.shared.shop_cache_turns
local memory = shared.memory

local M = {}

local PERIOD = 0.4        -- s between two polls
local BLIND_AFTER = 2     -- s without a poll
local BLIND_FOR = 2       -- s that an answer is kept then
local CHANGES = 10000     -- members that the sorted set keeps at least
local PAGE = 1000
local MAX_QUERY = 1024
local BUSY, DONE = 1, 2
local TURN = 5            -- s that the first one to ask for something may take
local PATIENCE = 2        -- s that others wait for it
local AFTERWARDS = 60     -- s that nobody needs to wait for the same thing again

local options

-- The parameters of a query in one order; those of one name stay as they were.
local function sorted(query)
  local list, position = {}, 0
  for text in gmatch(query, "[^&]+") do
    position = position + 1
    list[position] = { name = text:match("^[^=]*"), text = text, position = position }
  end
  table.sort(list, function(one, other)
    if one.name ~= other.name then
      return one.name < other.name
    end
    return one.position < other.position
  end)
  for index, parameter in ipairs(list) do
    list[index] = parameter.text
  end
  return table.concat(list, "&")
end

local function product_version(path)
  local name = path:match("([^/]+)$")
  if #name == 36 and find(name, "^[%x-]+$") then
    local digits = gsub(lower(name), "-", "")
    name = #digits == 32 and digits or name
  end
  return versions:get(name) or 0
end

local function scope(route, path)
  if route.cache == "product" then
    return product_version(path)
  end
  return memory.cache_lists
end

-- Of many who ask at once for what is not kept, one asks the service and the others wait for it. (Nginx has a lock for that
-- too, but looks at it only twice a second, and lets those who asked for something that is not to be kept go on one by one.)
local function wait_for_turn(key)
  if turns:add(key, BUSY, TURN) then
    var.shop_cache_turn = "1"
    return
  end
  local pause, patience = 0.002, now() + PATIENCE
  while turns:get(key) == BUSY and now() < patience do
    ngx.sleep(pause)
    pause = pause < 0.016 and pause * 2 or pause
  end
end

--- When a request on a route with a cache is done: those who wait for the same go on.
function M.done()
  if var.shop_cache_turn == "1" then
    turns:set(var.shop_cache_key, DONE, AFTERWARDS)
  end
end

--- Lets Nginx look for the answer in its cache. In the access phase of a route with a `cache`.
-- @param path  as from `router.path_of`
function M.use(route, path)
  local uri = var.request_uri
  local mark = find(uri, "?", 1, true)
  local query = mark and sub(uri, mark + 1) or ""
  if #query > MAX_QUERY or find(path, "%", 1, true) then
    var.shop_cache_off = "BYPASS"
    return
  end
  if find(query, "&", 1, true) then
    local ordered = sorted(query)
    if ordered ~= query then
      -- The service is asked in this order too: its answer may repeat the query, and must not depend on who asked first.
      query = ordered
      ngx.req.set_uri_args(ordered)
    end
  end
  local moment = now()
  local lifetime = 0
  if moment - memory.cache_read_at > BLIND_AFTER then
    lifetime = floor(moment / BLIND_FOR)
  end
  var.shop_cache = "shop_cache"
  local key = memory.cache_epoch .. "." .. lifetime .. "." .. scope(route, path) .. var.shop_encoding .. path .. "?" .. query
  var.shop_cache_key = key
  if turns:get(key) ~= DONE then
    wait_for_turn(key)
  end
end

local function discard()
  versions:flush_all()
  memory.cache_epoch = memory.cache_epoch + 1
end

-- Takes the products that changed since the last poll.
local function read_products(connection, newest)
  local known = memory.cache_products
  if newest < known or newest - known > CHANGES then
    discard()
  else
    local offset = 0
    repeat
      local page, err = connection:call("ZRANGEBYSCORE", "gateway:cache:products", known + 1, newest, "WITHSCORES", "LIMIT", offset, PAGE)
      if not page then
        return nil, err
      end
      for index = 1, #page, 2 do
        if not versions:safe_set(page[index], tonumber(page[index + 1])) then
          discard()    -- the dict is full; with everything discarded, an empty one is right
        end
      end
      offset = offset + PAGE
    until #page < 2 * PAGE
  end
  memory.cache_products = newest
  return true
end

local function read_all(connection, discarding)
  local lists, err = connection:call("GET", "gateway:cache:catalog")
  if lists == nil then
    return nil, err
  end
  local products
  products, err = connection:call("GET", "gateway:cache:products:version")
  if products == nil then
    return nil, err
  end
  lists, products = tonumber(lists or 0) or 0, tonumber(products or 0) or 0
  if discarding then
    discard()
    memory.cache_products = products
  elseif products ~= memory.cache_products then
    local fine
    fine, err = read_products(connection, products)
    if not fine then
      return nil, err
    end
  end
  memory.cache_lists = lists
  memory.cache_read_at = now()
  return true
end

local first = true    -- since this worker started

local function poll()
  local connection, err = redis.connect(options)
  if not connection then
    return nil, err
  end
  -- Over a connection that broke changes may have been missed. That of a worker that was replaced was good a moment ago.
  local replacing = first and now() - memory.cache_read_at < BLIND_AFTER
  local fine
  fine, err = read_all(connection, connection.fresh and not replacing)
  if not fine then
    connection:close()
    return nil, err
  end
  first = false
  connection:keep()
  return true
end

local busy = false

local function tick(premature)
  if premature or busy then
    return
  end
  busy = true
  local ran, fine, err = pcall(poll)
  busy = false
  if not (ran and fine) then
    metrics.count("gateway_cache_polls_failed_total")
    ngx.log(ngx.INFO, "the versions of cached answers can't be read from Redis: ", ran and err or fine)
  end
end

--- Seconds since the versions were last read; nil if never.
function M.age()
  local read_at = memory.cache_read_at
  return read_at > 0 and now() - read_at or nil
end

--- In each worker; the first one polls.
function M.start(settings)
  if ngx.worker.id() ~= 0 then
    return
  end
  options = {
    host = settings.redis_host, port = settings.redis_port, user = settings.redis_user,
    password = settings.redis_password, timeout = 500, pool = "cache",
  }
  ngx.timer.at(0, tick)
  ngx.timer.every(PERIOD, tick)
end

return M
