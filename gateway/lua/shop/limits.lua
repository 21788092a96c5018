-- Rate limits: GCRA in a shared dict.
--
-- For each limit and each one counted the dict holds one number, the moment (ms) at which all that was used is paid back
-- (the "theoretical arrival time"). A request moves it ahead by one interval; it is refused when it would lie more than
-- the whole burst ahead of now. Moving is an atomic `incr`, so two workers can't both take the last place. Only a limit
-- that was idle is started by `set`; two workers that start the same one at once let one request more through.

local metrics = require "shop.metrics"

local ngx = ngx
local now = ngx.now
local floor, ceil = math.floor, math.ceil
local dict = ngx.shared.shop_limits

local M = {}

local SLACK = 0.001    -- ms, for the rounding of repeated additions
local KEEP = 600       -- s that an entry outlives its burst

local SPREAD = 100     -- texts are kept by remaining * SPREAD + seconds

local policies = {}    -- by name

--- Prepares the limits of the route table.
-- @param limits  as from `schema.load`
function M.init(limits)
  local number = 0
  local names = {}
  for name in pairs(limits) do
    names[#names + 1] = name
  end
  table.sort(names)
  for _, name in ipairs(names) do
    local limit = limits[name]
    number = number + 1
    local interval = limit.seconds * 1000 / limit.allow
    policies[name] = {
      name = name, by = limit.by, off = limit.off,
      prefix = string.char(64 + number),
      interval = interval,
      window = interval * limit.burst,
      keep = interval * limit.burst / 1000 + KEEP,
      -- The draft knows quota and window, not rate and burst: the whole burst, and how long it takes to come back.
      policy = ('"%s";q=%d;w=%d'):format(name, limit.burst, ceil(interval * limit.burst / 1000)),
      refused = ('gateway_limited_total{limit="%s"}'):format(name),
      texts = {},
    }
  end
end

--- The limits of a route that count by `by`, in their order, without those that are off.
function M.of(names, by)
  local list = {}
  for _, name in ipairs(names) do
    local policy = policies[name]
    if policy.by == by and not policy.off then
      list[#list + 1] = policy
    end
  end
  return list
end

--- Takes one request from a limit.
-- @param who  whom it counts for, any string
-- @return how many are left, seconds until all are back; or nil, seconds until the next one
function M.take(policy, who)
  local key = policy.prefix .. who
  local interval, window = policy.interval, policy.window
  local moment = now() * 1000
  local paid_back = dict:get(key)
  if not paid_back or paid_back <= moment then
    paid_back = moment + interval
    dict:set(key, paid_back, policy.keep)
  else
    local over = paid_back + interval - moment - window
    if over <= SLACK then
      paid_back = dict:incr(key, interval)
      if not paid_back then
        paid_back = moment + interval    -- it ended between the two calls
        dict:set(key, paid_back, policy.keep)
      end
      over = paid_back - moment - window
      if over > SLACK then
        dict:incr(key, -interval)    -- another worker was faster
      end
    end
    if over > SLACK then
      metrics.count(policy.refused)
      local wait = ceil(over / 1000)
      return nil, wait < 1 and 1 or wait
    end
  end
  local used = paid_back - moment
  return floor((window - used) / interval + SLACK), ceil(used / 1000)
end

--- The RateLimit header for what `take` gave back.
function M.text(policy, remaining, reset)
  local place = remaining * SPREAD + reset
  local text = policy.texts[place]
  if not text then
    text = ('"%s";r=%d;t=%d'):format(policy.name, remaining, reset)
    -- Kept where there are few of them: the usual limits have some hundred, one that was raised for a load test millions.
    if remaining <= 1000 and reset < SPREAD then
      policy.texts[place] = text
    end
  end
  return text
end

return M
