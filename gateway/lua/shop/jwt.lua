-- Access tokens (RFC 9068) from their text to claims. Pure: no request, no cache, no network.
--
-- The key decides the algorithm. The token's `alg` is only compared with it, so neither `none` nor an HMAC keyed with the
-- public key has a way in.

local cjson = require("cjson.safe").new()
local base64 = require "ngx.base64"
local schema = require "shop.schema"

local find, sub, match, lower = string.find, string.sub, string.match, string.lower
local decode_base64url = base64.decode_base64url
local encode_base64url = base64.encode_base64url

cjson.decode_max_depth(8)
cjson.decode_invalid_numbers(false)

local M = {}

local LEEWAY = 5                -- seconds that `nbf` and `iat` may lie ahead of this machine's clock
local LAST_MOMENT = 0x7fffffff  -- 2038 and later is a mistake, and NumericDate fits the shared dict's flags
local MAX_TOKEN = 8192
local MAX_KID = 128
local UUID = "^%x%x%x%x%x%x%x%x%-%x%x%x%x%-%x%x%x%x%-%x%x%x%x%-%x%x%x%x%x%x%x%x%x%x%x%x$"

local function decoded_object(text)
  local raw = decode_base64url(text)
  local value = raw and cjson.decode(raw)
  -- A JSON array also becomes a table, but begins otherwise.
  if type(value) == "table" and find(raw, "^%s*{") then
    return value
  end
end

local function moment(value)
  return type(value) == "number" and value >= 0 and value <= LAST_MOMENT
end

local function role_mask(roles)
  if type(roles) ~= "table" then
    return nil
  end
  local mask = 0
  for index, role in pairs(roles) do
    if type(index) ~= "number" or type(role) ~= "string" then
      return nil
    end
    mask = bit.bor(mask, schema.ROLES[role] or 0)
  end
  return mask
end

local function holds(audience, wanted)
  if type(audience) == "table" then
    for _, one in ipairs(audience) do
      if one == wanted then
        return true
      end
    end
    return false
  end
  return audience == wanted
end

--- Splits the value of an Authorization header.
-- @return header (table), kid, signed text, payload text, signature (raw); or nil and the reason
function M.parse(authorization)
  local scheme, token = match(authorization, "^(%a+) (%S+)$")
  if not scheme or lower(scheme) ~= "bearer" then
    return nil, "not_a_bearer_token"
  end
  if #token > MAX_TOKEN then
    return nil, "too_long"
  end
  local header_text, payload_text, signature_text = match(token, "^([%w_-]+)%.([%w_-]+)%.([%w_-]+)$")
  if not header_text then
    return nil, "not_a_jwt"
  end
  local header = decoded_object(header_text)
  if not header then
    return nil, "bad_header"
  end
  local kind = type(header.typ) == "string" and lower(header.typ)
  if kind ~= "at+jwt" and kind ~= "application/at+jwt" then
    return nil, "wrong_type"
  end
  if header.crit ~= nil then
    return nil, "critical_extension"
  end
  local kid = header.kid
  if type(kid) ~= "string" or kid == "" or #kid > MAX_KID then
    return nil, "no_key_id"
  end
  local signature = decode_base64url(signature_text)
  if not signature or encode_base64url(signature) ~= signature_text then
    return nil, "bad_signature"
  end
  return header, kid, header_text .. "." .. payload_text, payload_text, signature
end

--- Looks at the claims of a token whose signature is good.
-- @param now  unix seconds
-- @return claims `{ user, session, issued, expires, roles (mask) }`, or nil and the reason
function M.claims(payload_text, issuer, audience, now)
  local payload = decoded_object(payload_text)
  if not payload then
    return nil, "bad_payload"
  end
  if payload.iss ~= issuer then
    return nil, "wrong_issuer"
  end
  if not holds(payload.aud, audience) then
    return nil, "wrong_audience"
  end
  if not moment(payload.exp) then
    return nil, "no_expiry"
  end
  if payload.exp <= now then
    return nil, "expired"
  end
  if payload.nbf ~= nil and (not moment(payload.nbf) or payload.nbf > now + LEEWAY) then
    return nil, "not_yet_valid"
  end
  if not moment(payload.iat) or payload.iat > now + LEEWAY then
    return nil, "bad_issue_time"
  end
  if type(payload.sub) ~= "string" or not find(payload.sub, UUID) then
    return nil, "no_subject"
  end
  if type(payload.sid) ~= "string" or not find(payload.sid, "^[%w_-]+$") or #payload.sid > 64 then
    return nil, "no_session"
  end
  local roles = role_mask(payload.roles)
  if not roles then
    return nil, "bad_roles"
  end
  return { user = lower(payload.sub), session = payload.sid, issued = payload.iat, expires = payload.exp, roles = roles }
end

return M
