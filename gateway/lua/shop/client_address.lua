-- Whom an address limit counts. Nginx has already put the rightmost untrusted hop of X-Forwarded-For in the place of the
-- peer's address (set_real_ip_from, real_ip_recursive); what is left is that an IPv6 client owns a whole /64.

local ffi = require "ffi"

local var = ngx.var
local cast = ffi.cast

local M = {}

-- The first 12 bytes of ::ffff:a.b.c.d, as the machine reads them.
local mapped = cast("const uint32_t *", ("\0"):rep(10) .. "\255\255")[2]

--- @return 64 bits: an IPv4 address (also when written as ::ffff:a.b.c.d), or the /64 of an IPv6 address
function M.counted()
  local address = var.binary_remote_addr
  local words = cast("const uint32_t *", address)
  if #address ~= 16 then
    return words[0] + 0ULL
  end
  if words[0] == 0 and words[1] == 0 and words[2] == mapped then
    return words[3] + 0ULL
  end
  return words[0] * 0x100000000ULL + words[1]
end

return M
