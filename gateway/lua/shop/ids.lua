-- Request and trace ids for requests that bring none: 128 bits as 32 hexadecimal digits. The first half is random for each
-- worker, the second a count stirred by a bijection (the finalizer of SplitMix64), so an id can't come twice.

local bit = require "bit"
local ffi = require "ffi"

local var = ngx.var
local bxor, rshift, tohex = bit.bxor, bit.rshift, bit.tohex

ffi.cdef "int RAND_bytes(unsigned char *buffer, int count);"

local M = {}

local high
local count = 0ULL

--- For each request, first thing.
function M.set()
  count = count + 0x9e3779b97f4a7c15ULL
  local mixed = count
  mixed = bxor(mixed, rshift(mixed, 30)) * 0xbf58476d1ce4e5b9ULL
  mixed = bxor(mixed, rshift(mixed, 27)) * 0x94d049bb133111ebULL
  var.shop_id_high = high
  var.shop_id_low = tohex(bxor(mixed, rshift(mixed, 31)))
end

--- In each worker, once.
function M.start()
  local seed = ffi.new("union { unsigned char bytes[16]; uint64_t numbers[2]; }")
  if ffi.C.RAND_bytes(seed.bytes, 16) ~= 1 then
    error("OpenSSL gave no random bytes")
  end
  high, count = tohex(seed.numbers[0]), seed.numbers[1] + 0ULL
end

return M
