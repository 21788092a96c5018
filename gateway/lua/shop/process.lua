-- Workers end with their master. Without this a killed master leaves workers that go on listening, and the next gateway
-- finds its port taken.

local ffi = require "ffi"
local get_master_pid = require("ngx.process").get_master_pid

ffi.cdef [[
int prctl(int option, unsigned long one, unsigned long two, unsigned long three, unsigned long four);
int getppid(void);
]]

local M = {}

local PR_SET_PDEATHSIG, SIGTERM = 1, 15

--- In each worker, first thing.
function M.die_with_master()
  ffi.C.prctl(PR_SET_PDEATHSIG, SIGTERM, 0, 0, 0)
  if ffi.C.getppid() ~= get_master_pid() then
    os.exit(0)    -- it died before the signal was asked for
  end
end

return M
