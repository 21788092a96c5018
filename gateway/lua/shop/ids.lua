-- Request and trace ids: 128 bits as 32 hexadecimal digits. The first half is random for each worker, the second a count
-- stirred by a bijection, so an id can't come twice.
--
-- A request that brings an id or a trace leaves the rest to the maps of nginx.conf; what all others get is the same text in
-- three variables, written here once, in a buffer: neither a map nor a string of Lua is made for it.

local base = require "resty.core.base"
local bit = require "bit"
local ffi = require "ffi"
local mix = require "shop.mix"
require "resty.core.var"    -- declares ngx_http_lua_ffi_var_set

local C = ffi.C
local var = ngx.var
local get_request = base.get_request
local copy, ffi_string = ffi.copy, ffi.string

ffi.cdef "int RAND_bytes(unsigned char *buffer, int count);"

local M = {}

local NEXT = 0x9e3779b97f4a7c15ULL
local state = ffi.new("struct { uint64_t count, mixed; }")
local mixed = ffi.cast("const unsigned char *", state) + 8    -- the bytes of state.mixed

-- A byte as two digits.
local DIGITS = ffi.new("uint16_t[256]")
for byte = 0, 255 do
  copy(DIGITS + byte, ("%02x"):format(byte), 2)
end

-- 00-TRACE-SPAN-FLAGS, the context of a trace that begins here: the trace is the id, the span its second half.
local context = ffi.new("unsigned char[56]")
local id = context + 3
local second = ffi.new("uint16_t[8]")
local FLAG, CONTEXT_SIZE = 54, 55

local lowered, err = ffi.new("unsigned char[64]"), ffi.new("unsigned char[256]")
local err_size = ffi.new("size_t[1]")

local function set(r, name, value, size)
  err_size[0] = 256
  if C.ngx_http_lua_ffi_var_set(r, name, #name, lowered, value, size, err, err_size) ~= 0 then
    error(ffi_string(err, err_size[0]))
  end
end

--- For each request, first thing.
-- @param brings_some  whether there may be an X-Request-Id or a traceparent
-- @param sampled  whether a span of it is kept
function M.set(brings_some, sampled)
  state.count = state.count + NEXT
  state.mixed = mix(state.count)
  second[0], second[1], second[2], second[3] = DIGITS[mixed[0]], DIGITS[mixed[1]], DIGITS[mixed[2]], DIGITS[mixed[3]]
  second[4], second[5], second[6], second[7] = DIGITS[mixed[4]], DIGITS[mixed[5]], DIGITS[mixed[6]], DIGITS[mixed[7]]
  copy(id + 16, second, 16)
  local r = get_request()
  if brings_some then
    set(r, "shop_id", id, 32)
    if sampled then
      var.shop_traceparent = "00-" .. var.shop_trace .. "-" .. ffi_string(second, 16) .. "-01"
    end
    return
  end
  copy(id + 33, second, 16)
  context[FLAG] = sampled and 49 or 48
  set(r, "shop_request_id", id, 32)
  set(r, "shop_trace", id, 32)
  set(r, "shop_traceparent", context, CONTEXT_SIZE)
end

--- In each worker, once.
function M.start()
  local seed = ffi.new("union { unsigned char bytes[16]; uint64_t numbers[2]; }")
  if C.RAND_bytes(seed.bytes, 16) ~= 1 then
    error("OpenSSL gave no random bytes")
  end
  state.count = seed.numbers[1]
  copy(context, ("00-%s%016d-%016d-00"):format(bit.tohex(seed.numbers[0]), 0, 0), CONTEXT_SIZE)
end

return M
