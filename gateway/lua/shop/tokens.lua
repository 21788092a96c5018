-- From an Authorization header to who asks. A token is verified once; then what it says is known to each worker under the
-- whole header value, and to all workers, in a shared dict, as one short string under a hash of it. Expiry is looked at every
-- time, and the deny list whenever it has grown.
--
-- The string: user id (36), mask of roles + 32 (1), time of issue (10 digits), session id. The flags: expiry since EPOCH.

local denylist = require "shop.denylist"
local crypto = require "shop.crypto"
local ffi = require "ffi"
local jwks = require "shop.jwks"
local jwt = require "shop.jwt"
local limits = require "shop.limits"
local metrics = require "shop.metrics"
local shared = require "shop.shared_memory"
local clear = require "table.clear"

local ngx = ngx
local now = ngx.now
local sub, byte, char = string.sub, string.byte, string.char
local sha256 = crypto.sha256
local verified = ngx.shared.shop_tokens
local state = ngx.shared.shop_state
local memory = shared.memory
local revoked_sessions, revoked_users = denylist.sessions, denylist.users

local M = {}

local EPOCH = 1735689600    -- 2025-01-01: an expiry fits in 31 bits as long as one is allowed at all
local issuer, audience

-- What this worker knows, by numbers that are given to tokens in turn: one table of texts and two of numbers cost the garbage
-- collector next to nothing, a table for each token would. Full, they are emptied and filled again from the shared dict.
local KNOWN = 16384
local LONGEST = 2048    -- bytes; longer tokens stay in the shared dict only
local number_of, users, sessions = {}, {}, {}
local count = 0
local epoch = -1
-- `checked` is the state of the deny list (`denylist.seen`) that knew nothing against the token: as long as nothing was added to
-- the list, there is no need to look again, in memory that is cold where there are many tokens.
local facts = ffi.new("struct { double expires, checked; uint64_t who; int32_t roles, issued; }[?]", KNOWN + 1)
local NEVER = -2

local function verify(authorization)
  local header, kid, signed, payload, signature = jwt.parse(authorization)
  if not header then
    return nil, kid
  end
  local key, err = jwks.key(kid)
  if not key then
    return nil, err
  end
  if header.alg ~= key.alg then
    return nil, "wrong_algorithm"
  end
  if not key.verify(key.public, signed, signature, key.size) then
    return nil, "bad_signature"
  end
  local claims, reason = jwt.claims(payload, issuer, audience, now())
  if not claims then
    return nil, reason
  end
  return ("%s%s%010d%s"):format(claims.user, char(32 + claims.roles), claims.issued, claims.session), claims.expires
end

-- Gives a token a number, out of the shared dict or by verifying it.
local function learn(authorization)
  local name = sha256(authorization, #authorization)
  local claims, expires = verified:get(name)
  if claims then
    expires = expires + EPOCH
  else
    claims, expires = verify(authorization)
    if not claims then
      return nil, expires
    end
    metrics.count('gateway_tokens_total{result="verified"}')
    -- A full dict drops the oldest entry, a failed write costs one more verification: both harmless.
    verified:set(name, claims, expires - now(), math.floor(expires) - EPOCH)
  end
  local number = 0
  if #authorization <= LONGEST then
    if count == KNOWN then
      clear(number_of)
      count = 0
    end
    count = count + 1
    number = count
    number_of[authorization] = number
  end
  local fact = facts[number]
  fact.expires, fact.issued, fact.roles = expires, tonumber(sub(claims, 38, 47)), byte(claims, 37) - 32
  fact.checked = NEVER
  users[number], sessions[number] = sub(claims, 1, 36), sub(claims, 48)
  fact.who = limits.who(sha256(users[number], 36))
  return number
end

local function forget()
  clear(number_of)
  count = 0
  epoch = memory.token_epoch
end

local function is_revoked(number, fact)
  local before = revoked_users[users[number]]
  if revoked_sessions[sessions[number]] or (before and fact.issued < before) then
    return true
  end
  fact.checked = denylist.seen
  return false
end

--- Who a header value speaks for.
-- @return what `limits` counts the user by, mask of roles; or nil and the reason. "no_keys" and "no_denylist" mean
--         that nobody can be judged now.
function M.check(authorization)
  if memory.token_epoch ~= epoch then
    forget()
  end
  if memory.revocations ~= denylist.seen then
    denylist.catch_up()
  end
  if denylist.too_old() then
    return nil, "no_denylist"
  end
  local number = number_of[authorization]
  if not number then
    local reason
    number, reason = learn(authorization)
    if not number then
      return nil, reason
    end
  end
  local fact = facts[number]
  if fact.expires <= now() then
    return nil, "expired"
  end
  if fact.checked ~= denylist.seen and is_revoked(number, fact) then
    return nil, "revoked"
  end
  return fact.who, fact.roles
end

--- Makes every worker look again at every token, from its next request on.
function M.forget_all()
  verified:flush_all()
  memory.token_epoch = memory.token_epoch + 1
end

--- In the master, at start and at each reload. The dict outlives a reload: what was verified for another issuer or audience
-- must not.
function M.init(settings)
  issuer, audience = settings.jwt_issuer, settings.jwt_audience
  local wanted = issuer .. " " .. audience
  if state:get("tokens:for") ~= wanted then
    verified:flush_all()
    state:set("tokens:for", wanted)
  end
end

return M
