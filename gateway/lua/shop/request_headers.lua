-- One walk over the headers of a request, in Nginx's own memory: a Lua table of all headers would cost more than everything
-- else the gateway does.
--
-- The usual request has a few headers, and none that only the inside may say. For it there is no loop and no branch on a
-- name: LuaJIT compiles what calls this as one straight piece, whatever headers in whatever order come. Each header adds the
-- class of its first letter and length; only what that leaves open is looked at closely.

local base = require "resty.core.base"
local ffi = require "ffi"
require "resty.core.request"    -- declares the functions and types used here

local bit = require "bit"
local C = ffi.C
local ffi_string, copy = ffi.string, ffi.copy
local find, sub = string.find, string.sub
local band = bit.band
local get_request = base.get_request

ffi.cdef "int memcmp(const void *one, const void *other, size_t count);"

local M = {}

local MAX = 100
local USUAL = 20    -- headers of a request that is looked at without a loop
local list = ffi.new("ngx_http_lua_ffi_table_elt_t[?]", MAX)
local truncated = ffi.new("int[1]")

-- Entries that stand for no header, so that USUAL of them can always be read.
local nothing = ffi.new("unsigned char[1]")
local blank = ffi.new("ngx_http_lua_ffi_table_elt_t[?]", USUAL)
for index = 0, USUAL - 1 do
  blank[index].key.data = nothing
  blank[index].value.data = nothing
end
local BLANK_SIZE = ffi.sizeof(blank)

-- What only the inside may say, by whole name and by what a name begins with ("x-user-id": "x-user-"). Nginx drops names
-- with an underscore by itself, so none of these comes in disguise. X-Forwarded-For, X-Forwarded-Proto, X-Request-Deadline,
-- X-Request-Id and traceparent are set anew by nginx.conf and need no stripping.
local FAMILIES = {
  ["x-user-"] = true, ["x-internal-"] = true, ["x-service-"] = true, ["x-forwarded-"] = true, ["x-accel-"] = true,
  ["x-original-"] = true, ["x-rewrite-"] = true, ["x-http-"] = true, ["x-method-"] = true, ["x-real-"] = true,
}
local NAMES = { ["x-user"] = true, ["x-internal"] = true, ["x-service"] = true, ["forwarded"] = true, ["proxy"] = true }
local SET_ANEW = { ["x-forwarded-for"] = true, ["x-forwarded-proto"] = true }

-- By these a request says what it and its trace are called.
local NAMING = { ["x-request-id"] = true, ["traceparent"] = true }

-- Classes, as digits of a sum: how many headers may be Authorization, announce a body, be for the inside only or name the
-- request, or be Origin.
local AUTHORIZATION, BODY, INSIDE, ORIGIN = 1, 0x100, 0x10000, 0x1000000
local INSIDES = 0xff0000

local class = ffi.new("int32_t[8192]")    -- by first letter * 32 + length
local function classify(letter, length, value)
  class[letter:byte() * 32 + length] = value
end
for length = 0, 31 do
  classify("x", length, INSIDE)
end
classify("f", 9, INSIDE)
classify("p", 5, INSIDE)
classify("t", 11, INSIDE)
classify("a", 13, AUTHORIZATION)
classify("c", 14, BODY)
classify("t", 17, BODY)
classify("o", 6, ORIGIN)

local function is_inside(name)
  if SET_ANEW[name] then
    return false
  end
  local dash = find(name, "-", 3, true)
  return NAMES[name] or (dash and FAMILIES[sub(name, 1, dash)]) or false
end

local function is_authorization(index)
  return list[index].key.len == 13 and C.memcmp(list[index].key.data, "authorization", 13) == 0
end

local function of(index)
  local key = list[index].key
  return class[key.data[0] * 32 + band(tonumber(key.len), 31)]
end

local function look_closely(count)
  local authorizations, data, length, body, strip, origin, named, scheme = 0, nil, 0, false, nil, false, false, false
  for index = 0, count - 1 do
    local key = list[index].key
    local kind = of(index)
    if kind == AUTHORIZATION and is_authorization(index) then
      authorizations = authorizations + 1
      data, length = list[index].value.data, list[index].value.len
    elseif kind == BODY then
      body = true
    elseif kind == ORIGIN then
      origin = true
    elseif kind == INSIDE then
      local name = ffi_string(key.data, key.len)
      if NAMING[name] then
        named = true
      elseif name == "x-forwarded-proto" then
        scheme = true
      elseif is_inside(name) then
        strip = strip or {}
        strip[#strip + 1] = name
      end
    end
  end
  return authorizations, data and ffi_string(data, length), body, strip, origin, named, scheme
end

--- Looks at all headers once.
-- @return number of Authorization headers, value of the last one, whether a body is announced, a list of names to strip or
--         nil, whether there may be an Origin, whether there is an X-Request-Id or traceparent, whether there is an
--         X-Forwarded-Proto; or nil when there are more than 100 headers
function M.scan()
  local r = get_request()
  local count = C.ngx_http_lua_ffi_req_get_headers_count(r, MAX, truncated)
  if count < 0 or truncated[0] ~= 0 then
    return nil
  end
  copy(list, blank, BLANK_SIZE)
  C.ngx_http_lua_ffi_req_get_headers(r, list, count, 0)
  if count > USUAL then
    return look_closely(count)
  end
  local c0, c1, c2, c3, c4 = of(0), of(1), of(2), of(3), of(4)
  local c5, c6, c7, c8, c9 = of(5), of(6), of(7), of(8), of(9)
  local c10, c11, c12, c13, c14 = of(10), of(11), of(12), of(13), of(14)
  local c15, c16, c17, c18, c19 = of(15), of(16), of(17), of(18), of(19)
  local total = c0 + c1 + c2 + c3 + c4 + c5 + c6 + c7 + c8 + c9
    + c10 + c11 + c12 + c13 + c14 + c15 + c16 + c17 + c18 + c19
  if total == 0 then
    return 0, nil, false, nil, false, false, false
  end
  local authorizations = band(total, 0xff)
  if band(total, INSIDES) ~= 0 or authorizations > 1 then
    return look_closely(count)
  end
  local weighted = c1 + 2 * c2 + 3 * c3 + 4 * c4 + 5 * c5 + 6 * c6 + 7 * c7 + 8 * c8 + 9 * c9
    + 10 * c10 + 11 * c11 + 12 * c12 + 13 * c13 + 14 * c14 + 15 * c15 + 16 * c16 + 17 * c17 + 18 * c18 + 19 * c19
  local place = band(weighted, 0xff)    -- the sum of the places of what may be Authorization, of which there is one
  if authorizations == 1 and not is_authorization(place) then
    return look_closely(count)
  end
  local value = list[place].value
  return authorizations, authorizations == 1 and ffi_string(value.data, value.len) or nil, band(total, 0xff00) ~= 0, nil,
    total >= ORIGIN, false, false
end

return M
