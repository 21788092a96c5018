-- From an Authorization header to who asks. A token is verified once; then its claims stand in a shared dict as one short
-- string under a hash of the whole header value. Expiry and deny list are looked at every time.
--
-- The string: user id (36), mask of roles + 32 (1), time of issue (10 digits), session id. The flags: expiry since EPOCH.

local denylist = require "shop.denylist"
local ecdsa = require "shop.ecdsa"
local ffi = require "ffi"
local jwks = require "shop.jwks"
local jwt = require "shop.jwt"
local metrics = require "shop.metrics"

local ngx = ngx
local now = ngx.now
local sub, byte, char = string.sub, string.byte, string.char
local sha256 = ecdsa.sha256
local session_revoked, user_revoked_before = denylist.session_revoked, denylist.user_revoked_before
local verified = ngx.shared.shop_tokens
local state = ngx.shared.shop_state

local M = {}

local EPOCH = 1735689600    -- 2025-01-01: an expiry fits in 31 bits as long as one is allowed at all
local issuer, audience

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
  if not key.verify(key.public, signed, signature) then
    return nil, "bad_signature"
  end
  local claims, reason = jwt.claims(payload, issuer, audience, now())
  if not claims then
    return nil, reason
  end
  return ("%s%s%010d%s"):format(claims.user, char(32 + claims.roles), claims.issued, claims.session), claims.expires
end

--- Who a header value speaks for.
-- @param data, length  the value of the Authorization header, where it stands in memory
-- @return user id, mask of roles; or nil and the reason. "no_keys" means that nobody can be verified now.
function M.check(data, length)
  local name = sha256(data, length)
  local claims, expires = verified:get(name)
  if claims then
    if expires + EPOCH <= now() then
      return nil, "expired"
    end
  else
    claims, expires = verify(ffi.string(data, length))
    if not claims then
      return nil, expires
    end
    metrics.count('gateway_tokens_total{result="verified"}')
    -- A full dict drops the oldest entry, a failed write costs one more verification: both harmless.
    verified:set(name, claims, expires - now(), math.floor(expires) - EPOCH)
  end
  local user = sub(claims, 1, 36)
  if session_revoked(sub(claims, 48)) then
    return nil, "revoked"
  end
  local before = user_revoked_before(user)
  if before and tonumber(sub(claims, 38, 47)) < before then
    return nil, "revoked"
  end
  return user, byte(claims, 37) - 32
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
