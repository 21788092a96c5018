-- One walk over the headers of a request, in Nginx's own memory: a Lua table of all headers, or a string of each token,
-- would cost more than everything else the gateway does.

local base = require "resty.core.base"
local ffi = require "ffi"
require "resty.core.request"    -- declares the functions and types used here

local C = ffi.C
local ffi_string = ffi.string
local find, sub = string.find, string.sub
local get_request = base.get_request

ffi.cdef "int memcmp(const void *one, const void *other, size_t count);"

local M = {}

local MAX = 100
local list = ffi.new("ngx_http_lua_ffi_table_elt_t[?]", MAX)
local truncated = ffi.new("int[1]")

-- What only the inside may say, by whole name and by what a name begins with ("x-user-id": "x-user-"). Nginx drops names
-- with an underscore by itself, so none of these comes in disguise. X-Forwarded-For, X-Forwarded-Proto, X-Request-Deadline,
-- X-Request-Id and traceparent are set anew by nginx.conf and need no stripping.
local FAMILIES = {
  ["x-user-"] = true, ["x-internal-"] = true, ["x-service-"] = true, ["x-forwarded-"] = true, ["x-accel-"] = true,
  ["x-original-"] = true, ["x-rewrite-"] = true, ["x-http-"] = true, ["x-method-"] = true, ["x-real-"] = true,
}
local NAMES = { ["x-user"] = true, ["x-internal"] = true, ["x-service"] = true }
local SET_ANEW = { ["x-forwarded-for"] = true, ["x-forwarded-proto"] = true }

local X, F, P, A, C_, T = 120, 102, 112, 97, 99, 116

local function is_inside(name)
  if SET_ANEW[name] then
    return false
  end
  local dash = find(name, "-", 3, true)
  return NAMES[name] or (dash and FAMILIES[sub(name, 1, dash)]) or false
end

--- Looks at all headers once.
-- @return number of Authorization headers, pointer to and length of the value of the last one, whether a body is
--         announced, a list of names to strip or nil; or nil when there are more than 100
function M.scan()
  local r = get_request()
  local count = C.ngx_http_lua_ffi_req_get_headers_count(r, MAX, truncated)
  if count < 0 or truncated[0] ~= 0 then
    return nil
  end
  C.ngx_http_lua_ffi_req_get_headers(r, list, count, 0)
  local authorizations, data, length, body, strip = 0, nil, 0, false, nil
  for index = 0, count - 1 do
    local key = list[index].key
    local first, size = key.data[0], key.len
    if first == A then
      if size == 13 and C.memcmp(key.data, "authorization", 13) == 0 then
        authorizations = authorizations + 1
        data, length = list[index].value.data, list[index].value.len
      end
    elseif first == C_ then
      if size == 14 and C.memcmp(key.data, "content-length", 14) == 0 then
        body = true
      end
    elseif first == T then
      if size == 17 and C.memcmp(key.data, "transfer-encoding", 17) == 0 then
        body = true
      end
    elseif (first == X and size > 2) or (first == F and size == 9) or (first == P and size == 5) then
      local name = ffi_string(key.data, size)
      if name == "forwarded" or name == "proxy" or is_inside(name) then
        strip = strip or {}
        strip[#strip + 1] = name
      end
    end
  end
  return authorizations, data, length, body, strip
end

return M
