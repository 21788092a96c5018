-- The public keys of svc-accounts. One fetch at a time for all workers fills a shared dict; each worker makes keys of it.
-- A good set is kept until another good set replaces it: svc-accounts may be away as long as it likes.

local cjson = require("cjson.safe").new()
local base64 = require "ngx.base64"
local crypto = require "shop.crypto"
local http_client = require "shop.http_client"
local metrics = require "shop.metrics"

local ngx = ngx
local state = ngx.shared.shop_state

local M = {}

local PATH = "/upstream/svc-accounts/.well-known/jwks.json"
local TIMEOUT = 1000     -- ms
local COOLDOWN = 3       -- s between two fetches that unknown key ids ask for
local FIRST_RETRY = 1    -- s between two tries while there is no key at all
local WAIT = 1.5         -- s that a request with an unknown key id waits for the fetch it caused

local admin_port, refresh_seconds
local keys, generation = {}, 0

-- One entry for each algorithm that a key may be for; a token can't add to it.
local KEY_TYPES = {
  EC = function(jwk)
    if jwk.crv ~= "P-256" or (jwk.alg ~= nil and jwk.alg ~= "ES256") then
      return nil, "an EC key must be P-256 for ES256"
    end
    local x = base64.decode_base64url(tostring(jwk.x))
    local y = base64.decode_base64url(tostring(jwk.y))
    if not x or not y then
      return nil, "x or y is not base64url"
    end
    local public, err = crypto.ec_key(x, y)
    if not public then
      return nil, err
    end
    return { alg = "ES256", verify = crypto.verify_ec, public = public, fingerprint = x .. y }
  end,
  RSA = function(jwk)
    if jwk.alg ~= nil and jwk.alg ~= "RS256" then
      return nil, "an RSA key must be for RS256"
    end
    local modulus = base64.decode_base64url(tostring(jwk.n))
    local exponent = base64.decode_base64url(tostring(jwk.e))
    if not modulus or not exponent then
      return nil, "n or e is not base64url"
    end
    local public, size = crypto.rsa_key(modulus, exponent)
    if not public then
      return nil, size
    end
    return { alg = "RS256", verify = crypto.verify_rsa, public = public, size = size, fingerprint = modulus .. exponent }
  end,
}

local function keys_of(text)
  local set = cjson.decode(text)
  if type(set) ~= "table" or type(set.keys) ~= "table" then
    return nil, "it is not a key set"
  end
  local found, count = {}, 0
  for _, jwk in ipairs(set.keys) do
    local make = type(jwk) == "table" and KEY_TYPES[jwk.kty]
    if make and type(jwk.kid) == "string" and (jwk.use == nil or jwk.use == "sig") then
      local key, err = make(jwk)
      if key then
        found[jwk.kid] = key
        count = count + 1
      else
        ngx.log(ngx.WARN, "key ", jwk.kid, " of svc-accounts is left out: ", err)
      end
    end
  end
  if count == 0 then
    return nil, "it holds no usable key"
  end
  return found, count
end

local function load_newest()
  local newest = state:get("jwks:generation") or 0
  if newest ~= generation then
    local found = keys_of(state:get("jwks") or "")
    if found then
      keys, generation = found, newest
    end
  end
end

local function take(text)
  local found, count = keys_of(text)
  if not found then
    return nil, count
  end
  if text == state:get("jwks") then
    return true
  end
  local before = keys_of(state:get("jwks") or "") or {}
  state:set("jwks", text)
  state:incr("jwks:generation", 1, 0)
  for kid, key in pairs(before) do
    if not found[kid] or found[kid].fingerprint ~= key.fingerprint then
      -- A withdrawn key may be a stolen one: what it signed has to be looked at again.
      require("shop.tokens").forget_all()
      ngx.log(ngx.WARN, "svc-accounts has withdrawn the key ", kid)
      break
    end
  end
  ngx.log(ngx.NOTICE, "took ", count, " public key(s) from svc-accounts")
  return true
end

local function fetch(premature)
  if premature then
    return
  end
  local status, body = http_client.get(admin_port, PATH, TIMEOUT)
  local fine, err
  if status == 200 then
    fine, err = take(body)
  else
    err = status and "it answered " .. status or body
  end
  metrics.count(fine and 'gateway_jwks_fetches_total{result="ok"}' or 'gateway_jwks_fetches_total{result="failed"}')
  if fine then
    state:set("jwks:fetched_at", ngx.time())
  else
    ngx.log(ngx.WARN, "the public keys of svc-accounts could not be read: ", err)
  end
  state:delete("jwks:busy")
end

local function start_fetch()
  -- The mark expires by itself, should its worker die meanwhile.
  if state:add("jwks:busy", true, WAIT + 4 * TIMEOUT / 1000) then
    local fine, err = ngx.timer.at(0, fetch)
    if not fine then
      state:delete("jwks:busy")
      ngx.log(ngx.ERR, "no timer for the public keys: ", err)
    end
  end
end

local function tick(premature)
  if premature then
    return
  end
  local wait = state:get("jwks:generation") and refresh_seconds or FIRST_RETRY
  if state:add("jwks:rested", true, wait - 0.1) then
    start_fetch()
  end
end

--- The key of a key id, waiting for one fetch when it is unknown (at most every few seconds).
-- @return key `{ alg, verify, public, size }`; or nil and "unknown_key", or "no_keys" while there was never any set
function M.key(kid)
  load_newest()
  local key = keys[kid]
  if key then
    return key
  end
  if state:add("jwks:asked", true, COOLDOWN) then
    start_fetch()
  end
  local patience = ngx.now() + WAIT
  while state:get("jwks:busy") and ngx.now() < patience do
    ngx.sleep(0.02)
  end
  load_newest()
  key = keys[kid]
  if key then
    return key
  end
  return nil, generation == 0 and "no_keys" or "unknown_key"
end

function M.loaded()
  return state:get("jwks:generation") ~= nil
end

--- In each worker; the first one keeps the set fresh.
function M.start(settings)
  admin_port, refresh_seconds = settings.admin_port, settings.jwks_refresh
  if ngx.worker.id() == 0 then
    ngx.timer.at(0, tick)
    ngx.timer.every(0.5, tick)
  end
end

return M
