-- Rate limits: GCRA in memory that all workers share.
--
-- For each limit and each one counted there is one number, the moment (ms) at which all that was used is paid back (the
-- "theoretical arrival time"). A request moves it ahead by one interval; it is refused when it would lie more than the whole
-- burst ahead of now. One whose moment has passed is idle, and that is the same as never having been counted: so the table
-- (of four entries to a cache line, found by a seeded hash) forgets by overwriting idle entries, and needs no expiry.
-- Should all four be busy, the one that is paid back first goes.

local bit = require "bit"
local ffi = require "ffi"
local metrics = require "shop.metrics"
local mix = require "shop.mix"
local request = require "shop.request"
local shared = require "shop.shared_memory"

local ngx = ngx
local now = ngx.now
local var = ngx.var
local copy, set = ffi.copy, request.set
local floor, ceil, max = math.floor, math.ceil, math.max
local band, bxor, bor, rshift = bit.band, bit.bxor, bit.bor, bit.rshift
local entries = shared.memory.limits
local MASK = shared.LIMITS - 1 + 0ULL

local M = {}

local SLACK = 0.001    -- ms, for the rounding of repeated additions
local SPREAD = 100     -- texts are kept by remaining * SPREAD + seconds

local policies = {}    -- by name

--- Whom a limit counts, as 64 bits of a string of at least 8 bytes that is no one's choice, like a hash.
function M.who(text)
  return ffi.cast("const uint64_t *", text)[0]
end

--- Prepares the limits of the route table.
-- @param limits  as from `schema.load`
function M.init(limits)
  for name, limit in pairs(limits) do
    local interval = limit.seconds * 1000 / limit.allow
    policies[name] = {
      name = name, by = limit.by, off = limit.off,
      seed = mix(bxor(shared.memory.seed, mix(ngx.crc32_long(name) + 0ULL))),
      interval = interval,
      window = interval * limit.burst,
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

local function busier(one, other)
  return entries[one].paid_back <= entries[other].paid_back and one or other
end

-- The place of a tag that is not where it would be best.
local function elsewhere(place, tag, moment)
  local first = place - place % 4
  if entries[first].tag == tag then
    return first
  elseif entries[first + 1].tag == tag then
    return first + 1
  elseif entries[first + 2].tag == tag then
    return first + 2
  elseif entries[first + 3].tag == tag then
    return first + 3
  end
  local found = place
  if entries[place].paid_back > moment then
    found = busier(busier(first, first + 1), busier(first + 2, first + 3))
    if entries[found].paid_back > moment then
      metrics.count("gateway_limit_evictions_total")
    end
  end
  entries[found].paid_back = 0
  entries[found].tag = tag
  return found
end

local function refuse(policy, over)
  metrics.count(policy.refused)
  local wait = ceil(over / 1000)
  return nil, wait < 1 and 1 or wait
end

--- Takes one request from a limit.
-- @param who  whom it counts for, 64 bits
-- @return how many are left, seconds until all are back; or nil, seconds until the next one
function M.take(policy, who)
  local hash = mix(bxor(who, policy.seed))
  local tag = bor(hash, 1ULL)
  local place = tonumber(band(rshift(hash, 1), MASK))
  local moment = now() * 1000
  if entries[place].tag ~= tag then
    place = elsewhere(place, tag, moment)
  end
  local interval, window = policy.interval, policy.window
  local paid_back = max(entries[place].paid_back, moment) + interval
  local used = paid_back - moment
  if used - window > SLACK then
    return refuse(policy, used - window)
  end
  entries[place].paid_back = paid_back
  return floor((window - used) / interval + SLACK), ceil(used / 1000)
end

local function text_of(policy, remaining, reset)
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

-- RateLimit-Policy and RateLimit, the second a line of its own: two headers in one variable.
local MOST = 512
local told = ffi.new("unsigned char[?]", 2 * MOST + 128)    -- both, of which the second repeats a name of the first

--- @param policy_header  what RateLimit-Policy says on a route, at most 512 bytes
function M.prepare(route, policy_header)
  assert(#policy_header <= MOST, "there are too many limits on one route")
  route.policy_header, route.policy_lines = policy_header, policy_header .. "\r\nRateLimit: "
end

--- Lets the answer say which limits its route has, and how the tightest one stands.
-- @param policy  the tightest one, nil if none was looked at; the rest as from `take`
function M.tell(route, policy, remaining, reset)
  if policy then
    local lines, text = route.policy_lines, text_of(policy, remaining, reset)
    copy(told, lines, #lines)
    copy(told + #lines, text, #text)
    set("left", told, #lines + #text)
  elseif route.policy_header ~= "" then
    var.left = route.policy_header
  end
end

return M
