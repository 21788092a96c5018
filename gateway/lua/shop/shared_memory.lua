-- Memory that the master maps once and all its workers share, also across reloads, for what a request looks at each time
-- and a shared dict would be dear for: a shared dict takes a lock and walks a tree at each look.
--
-- Nothing here is locked. Every number is an aligned double or 64-bit integer that is read and written whole; two workers
-- that write the same one in the same nanoseconds lose one of the two writes, which the users of it can bear.

local ffi = require "ffi"

ffi.cdef [[
void *mmap(void *address, size_t length, int protection, int flags, int file, long offset);
int RAND_bytes(unsigned char *buffer, int count);
typedef struct { uint64_t tag; double paid_back; } shop_limit_t;
typedef struct {
    uint64_t seed;
    double token_epoch;
    double revocations;
    double cache_read_at, cache_epoch, cache_lists, cache_products;
    double denylist_read_at;
    double unused[8];
    struct { double began, latest, probe_at, unused; } outages[16];    /* began: 0 is none */
    shop_limit_t limits[1 << 20];
} shop_memory_t;
]]

local M = {}

local VERSION = 4    -- of the layout above
local READ_WRITE, SHARED_ANONYMOUS = 3, 0x21
local FAILED = ffi.cast("void *", -1)

--- Random bytes as a 64-bit number.
function M.random()
  local seed = ffi.new("uint64_t[1]")
  if ffi.C.RAND_bytes(ffi.cast("unsigned char *", seed), 8) ~= 1 then
    error("OpenSSL gave no random bytes")
  end
  return seed[0]
end

--- In the master, at start and at each reload, before anything else of this folder is loaded.
-- The address lies in a shared dict, which outlives a reload as the mapping does.
local function map()
  local state = ngx.shared.shop_state
  local name = "memory:" .. VERSION
  local address = state:get(name)
  if address then
    return ffi.cast("shop_memory_t *", ffi.cast("uintptr_t", address))
  end
  local found = ffi.C.mmap(nil, ffi.sizeof("shop_memory_t"), READ_WRITE, SHARED_ANONYMOUS, -1, 0)
  if found == FAILED then
    error("no memory for the rate limits")
  end
  local memory = ffi.cast("shop_memory_t *", found)
  memory.seed = M.random()
  state:set(name, tonumber(ffi.cast("uintptr_t", found)))
  return memory
end

M.memory = map()
--- `limits` has this many entries, a power of two.
M.LIMITS = 2 ^ 20

return M
