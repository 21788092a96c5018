-- Whom an address limit counts. Nginx has already put the rightmost untrusted hop of X-Forwarded-For in the place of the
-- peer's address (set_real_ip_from, real_ip_recursive); what is left is that an IPv6 client owns a whole /64.

local var = ngx.var
local sub = string.sub

local M = {}

local MAPPED = ("\0"):rep(10) .. "\255\255"

--- @return 4 bytes for IPv4 (also when written as ::ffff:a.b.c.d), 8 bytes for the /64 of an IPv6 address
function M.counted()
  local address = var.binary_remote_addr
  if #address ~= 16 then
    return address
  end
  if sub(address, 1, 12) == MAPPED then
    return sub(address, 13)
  end
  return sub(address, 1, 8)
end

return M
