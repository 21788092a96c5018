-- What is known of a request from its access phase to its log phase, kept under a number that stands for it meanwhile: cheaper
-- than `ngx.ctx`. Who keeps something takes it away in the log phase, which every request comes to, for the number comes again.

local base = require "resty.core.base"
local ffi = require "ffi"
require "resty.core.var"    -- declares ngx_http_lua_ffi_var_set

local C = ffi.C
local cast, ffi_string = ffi.cast, ffi.string
local get_request = base.get_request

local M = {}

local routes = {}
local lowered, err = ffi.new("unsigned char[64]"), ffi.new("unsigned char[256]")
local err_size = ffi.new("size_t[1]")

local function number()
  return tonumber(cast("uintptr_t", cast("void *", get_request())))
end

M.number = number

--- From here on it is a request of a route.
function M.begin(route)
  routes[number()] = route
end

--- Its route; nil if it has none.
function M.route()
  return routes[number()]
end

--- The same, and forgets it. In the log phase.
function M.finish()
  local this = number()
  local route = routes[this]
  if route then
    routes[this] = nil
  end
  return route
end

--- Gives a variable of nginx.conf the first `size` bytes of a buffer, without a string of Lua.
-- @param name  in lower case, at most 64 bytes
function M.set(name, buffer, size)
  err_size[0] = 256
  if C.ngx_http_lua_ffi_var_set(get_request(), name, #name, lowered, buffer, size, err, err_size) ~= 0 then
    error(ffi_string(err, err_size[0]))
  end
end

return M
