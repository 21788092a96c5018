-- Sessions and users whose tokens no longer count, copied from Redis each second by one worker into shared dicts that all
-- workers read. Entries are only added and end by themselves with the last token that they concern, so a Redis that is
-- away, or came back empty, never makes a revoked token good again.
--
--   gateway:revoked           sorted set; `sid:<session>` or `sub:<user>:<issued before>`; score = when it may be forgotten
--   gateway:revoked:version   grows with each write

local metrics = require "shop.metrics"
local redis = require "shop.redis"

local ngx = ngx
local match, sub = string.match, string.sub
local state = ngx.shared.shop_state
local sessions = ngx.shared.shop_revoked_sessions
local users = ngx.shared.shop_revoked_users

local M = {}

local PERIOD = 1          -- s
local WHOLE_EVERY = 30    -- polls after which the set is read even when its version stands still
local PAGE = 2000

local options
local busy = false
local version
local polls = 0

local function add(dict, key, value, seconds)
  local fine, err = dict:safe_set(key, value, seconds)
  if not fine then
    ngx.log(ngx.CRIT, "a revoked session could not be kept: ", err)
    metrics.count("gateway_denylist_overflow_total")
  end
end

local function take(member, forget_at, now)
  local seconds = forget_at - now
  if seconds <= 0 then
    return
  end
  if sub(member, 1, 4) == "sid:" then
    return add(sessions, sub(member, 5), true, seconds)
  end
  local user, before = match(member, "^sub:(.+):(%d+)$")
  before = tonumber(before)
  if not user then
    return ngx.log(ngx.ERR, "an entry of gateway:revoked is neither sid: nor sub:")
  end
  user = user:lower()
  if (users:get(user) or -1) <= before then
    add(users, user, before, seconds)
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
    state:set("denylist:read_at", ngx.now())
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

--- Whether the session was ended.
function M.session_revoked(session)
  return sessions:get(session) ~= nil
end

--- The moment (unix seconds) before which the user's tokens no longer count, or nil.
function M.user_revoked_before(user)
  return users:get(user)
end

--- Seconds since the list was last read; nil if never.
function M.age()
  local read_at = state:get("denylist:read_at")
  return read_at and ngx.now() - read_at
end

--- In each worker; the first one polls.
function M.start(settings)
  if ngx.worker.id() ~= 0 then
    return
  end
  options = {
    host = settings.redis_host, port = settings.redis_port, user = settings.redis_user,
    password = settings.redis_password, timeout = 1000,
  }
  ngx.timer.at(0, tick)
  ngx.timer.every(PERIOD, tick)
end

return M
