-- What stands for a request while it is under way: a number, under which something of it can be kept in a table. Cheaper than
-- `ngx.ctx`; who keeps something takes it away in the log phase, which every request comes to, for the number comes again.

local base = require "resty.core.base"
local ffi = require "ffi"

local cast = ffi.cast
local get_request = base.get_request

local M = {}

function M.number()
  return tonumber(cast("uintptr_t", cast("void *", get_request())))
end

return M
