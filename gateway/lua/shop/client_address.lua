-- Whom an address limit counts. Nginx has already put the rightmost untrusted hop of X-Forwarded-For in the place of the
-- peer's address (set_real_ip_from, real_ip_recursive); what is left is that an IPv6 client owns a whole /64.

local base = require "resty.core.base"
local ffi = require "ffi"
require "resty.core.var"    -- declares ngx_http_lua_ffi_var_get

local C = ffi.C
local cast = ffi.cast
local get_request = base.get_request

-- Read where Nginx keeps it: a string of Lua, of which `ngx.var` makes one, would be garbage at once.
local NAME = "binary_remote_addr"
local lowered = ffi.new("char[32]")
local value, size, err = ffi.new("char *[1]"), ffi.new("size_t[1]"), ffi.new("char *[1]")

local M = {}

-- The first 12 bytes of ::ffff:a.b.c.d, as the machine reads them.
local mapped = cast("const uint32_t *", ("\0"):rep(10) .. "\255\255")[2]

--- @return 64 bits: an IPv4 address (also when written as ::ffff:a.b.c.d), or the /64 of an IPv6 address
function M.counted()
  if C.ngx_http_lua_ffi_var_get(get_request(), NAME, #NAME, lowered, 0, value, size, err) ~= 0 then
    error("a request has no address")
  end
  local words = cast("const uint32_t *", value[0])
  if size[0] ~= 16 then
    return words[0] + 0ULL
  end
  if words[0] == 0 and words[1] == 0 and words[2] == mapped then
    return words[3] + 0ULL
  end
  return words[0] * 0x100000000ULL + words[1]
end

return M
