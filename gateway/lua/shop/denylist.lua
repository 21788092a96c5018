-- Sessions and users whose tokens no longer count, copied from Redis each second by one worker into shared dicts, and from
-- there by each worker into plain tables as soon as something was added. Entries are only added and end by themselves with the
-- last token that they concern, so a Redis that is away, or came back empty, never makes a revoked token good again.
--
--   gateway:revoked           sorted set; `sid:<session>` or `sub:<user>:<issued before>`; score = when it may be forgotten
--   gateway:revoked:version   grows with each write

local metrics = require "shop.metrics"
local redis = require "shop.redis"
local shared = require "shop.shared_memory"
local clear = require "table.clear"

local ngx = ngx
local match, sub = string.match, string.sub
local sessions = ngx.shared.shop_revoked_sessions
local users = ngx.shared.shop_revoked_users
local changes = ngx.shared.shop_revocations    -- what was added, by number: "sid:..." or "sub:..."
local memory = shared.memory

local M = {
  --- What this worker knows: true by session; by user the moment (unix seconds) before which tokens no longer count.
  sessions = {}, users = {},
  --- The number of the last addition that this worker knows; `memory.revocations` is that of the last one made.
  seen = -1,
}

local PERIOD = 1          -- s
local WHOLE_EVERY = 30    -- polls after which the set is read even when its version stands still
local PAGE = 2000
local CHANGES = 10000     -- additions that are kept by number; who missed more reads everything
local TIDY = 300          -- s between two clean-ups of a worker's tables

local options
local bearable
local busy = false
local version
local polls = 0

local function add(dict, key, value, seconds, member)
  local fine, err = dict:safe_set(key, value, seconds)
  if not fine then
    ngx.log(ngx.CRIT, "a revoked session could not be kept: ", err)
    return metrics.count("gateway_denylist_overflow_total")
  end
  local number = memory.revocations + 1
  changes:set(number % CHANGES, member, 0, number)
  memory.revocations = number    -- from now on each worker's next request looks at it
end

local function parsed(member)
  if sub(member, 1, 4) == "sid:" then
    return sub(member, 5)
  end
  local user, before = match(member, "^sub:(.+):(%d+)$")
  return user and user:lower(), tonumber(before)
end

local function take(member, forget_at, now)
  local seconds = forget_at - now
  if seconds <= 0 then
    return
  end
  local name, before = parsed(member)
  if not name then
    return ngx.log(ngx.ERR, "an entry of gateway:revoked is neither sid: nor sub:")
  end
  if not before then
    if not sessions:get(name) then
      add(sessions, name, true, seconds, member)
    end
  elseif (users:get(name) or -1) < before then
    add(users, name, before, seconds, member)
  end
end

local function read_all(connection)
  local now = ngx.time()
  local offset = 0
  repeat
    local page, err = connection:call("ZRANGEBYSCORE", "gateway:revoked", now, "+inf", "WITHSCORES", "LIMIT", offset, PAGE)
    if not page then
      return nil, err
    end
    for index = 1, #page, 2 do
      take(page[index], tonumber(page[index + 1]), now)
    end
    offset = offset + PAGE
    ngx.sleep(0.001)    -- other requests of this worker go on between two pages
  until #page < 2 * PAGE
  return true
end

local function poll()
  local connection, err = redis.connect(options)
  if not connection then
    return nil, err
  end
  local newest
  newest, err = connection:call("GET", "gateway:revoked:version")
  if newest == nil then
    connection:close()
    return nil, err
  end
  polls = polls + 1
  if newest ~= version or connection.fresh or polls >= WHOLE_EVERY then
    local fine
    fine, err = read_all(connection)
    if not fine then
      connection:close()
      return nil, err
    end
    version, polls = newest, 0
  end
  connection:keep()
  return true
end

local complained = false

local function tick(premature)
  if premature or busy then
    return
  end
  busy = true
  local ran, fine, err = pcall(poll)
  busy = false
  if ran and fine then
    memory.denylist_read_at = ngx.now()
    if complained then
      ngx.log(ngx.NOTICE, "the deny list is read again")
      complained = false
    end
    return
  end
  metrics.count("gateway_denylist_failures_total")
  if not complained then
    ngx.log(ngx.ERR, "the deny list can't be read from Redis, the last one goes on: ", ran and err or fine)
    complained = true
  end
end

local function read_everything()
  clear(M.sessions)
  clear(M.users)
  for _, session in ipairs(sessions:get_keys(0)) do
    M.sessions[session] = true
  end
  for _, user in ipairs(users:get_keys(0)) do
    M.users[user] = users:get(user)
  end
end

--- Brings this worker's tables up to date. Called by whoever finds `seen` behind.
function M.catch_up()
  local newest = memory.revocations
  if M.seen < 0 or newest - M.seen > CHANGES / 2 then
    M.seen = newest
    return read_everything()
  end
  for number = M.seen + 1, newest do
    local member, found = changes:get(number % CHANGES)
    if found ~= number then
      M.seen = newest
      return read_everything()
    end
    local name, before = parsed(member)
    if before then
      M.users[name] = math.max(M.users[name] or 0, before)
    else
      M.sessions[name] = true
    end
  end
  M.seen = newest
end

--- Seconds since the list was last read; nil if never.
function M.age()
  local read_at = memory.denylist_read_at
  return read_at > 0 and ngx.now() - read_at or nil
end

--- Whether the list is older than this gateway was told to bear.
function M.too_old()
  return ngx.now() - memory.denylist_read_at > bearable
end

--- In each worker; the first one polls.
function M.start(settings)
  bearable = settings.denylist_seconds > 0 and settings.denylist_seconds or math.huge
  if memory.denylist_read_at == 0 then
    memory.denylist_read_at = ngx.now()    -- a gateway that just started has as much time as one whose Redis just went
  end
  M.catch_up()
  -- What has ended goes; a worker that dies takes its tables with it, and its successor reads everything.
  ngx.timer.every(TIDY, read_everything)
  if ngx.worker.id() ~= 0 then
    return
  end
  options = {
    host = settings.redis_host, port = settings.redis_port, user = settings.redis_user,
    password = settings.redis_password, timeout = 1000, pool = "denylist",
  }
  ngx.timer.at(0, tick)
  ngx.timer.every(PERIOD, tick)
end

return M
