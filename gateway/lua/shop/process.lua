-- All processes end with their master. Without this a killed master leaves workers that go on listening, and the next gateway
-- finds its port taken; and a manager of the cache that goes on deleting files of the next gateway's.

local ffi = require "ffi"
local get_master_pid = require("ngx.process").get_master_pid

ffi.cdef [[
int prctl(int option, unsigned long one, unsigned long two, unsigned long three, unsigned long four);
int getppid(void);
int getpid(void);
]]

local M = {}

local PR_SET_PDEATHSIG, SIGTERM = 1, 15

-- The manager and the loader of the cache run no Lua, but they begin by closing the Lua of the master that they are copies of,
-- and that calls this.
local master = ffi.C.getpid()
M.at_close = newproxy(true)
getmetatable(M.at_close).__gc = function()
  if ffi.C.getpid() ~= master then
    ffi.C.prctl(PR_SET_PDEATHSIG, SIGTERM, 0, 0, 0)
  end
end

--- In each worker, first thing.
function M.die_with_master()
  ffi.C.prctl(PR_SET_PDEATHSIG, SIGTERM, 0, 0, 0)
  if ffi.C.getppid() ~= get_master_pid() then
    os.exit(0)    -- it died before the signal was asked for
  end
end

return M
