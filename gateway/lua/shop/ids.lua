-- What a request is called. Its id and that of its trace are 128 bits as 32 hexadecimal digits: the first half is random for each
-- worker, the second a count stirred by a bijection, so an id can't come twice.
--
-- A request that brings an id or a trace, or is sampled, leaves the rest to the maps of nginx.conf. For all others the texts
-- that its names stand in are written here in one go, in buffers: the lines to the service, that to the client and what the log
-- begins with. A variable for each name and a header of Nginx for each line would cost three times as much.

local bit = require "bit"
local ffi = require "ffi"
local mix = require "shop.mix"
local request = require "shop.request"

local C = ffi.C
local var = ngx.var
local set = request.set
local copy, ffi_string = ffi.copy, ffi.string
local match = string.match

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

local ID, HALF = 32, 16
local second = ffi.new("uint16_t[8]")    -- the half of the id that changes

-- A text with the id in some places, and room for what follows it.
local function new_text(pattern, room)
  local text = pattern:gsub("ID", ("0"):rep(ID))
  local buffer = ffi.new("unsigned char[?]", #text + room)
  copy(buffer, text, #text)
  return buffer, #text
end

local id = new_text("ID", 0)

-- The span is the second half of the trace, and nobody keeps anything of it.
local function new_lines(scheme)
  local no_span = ("0"):rep(HALF)
  local lines = ("ID\r\ntraceparent: 00-ID-%s-00\r\nX-Forwarded-Proto: %s\r\nX-Request-Deadline: "):format(no_span, scheme)
  local buffer, size = new_text(lines, 16)
  return { buffer = buffer, size = size }
end

local http, https = new_lines("http"), new_lines("https")
local TRACE = ID + #"\r\ntraceparent: 00-"
local SPAN = TRACE + ID + 1
local ROUTE_ROOM = 512
local to_log, LOG_SIZE = new_text('ID","trace_id":"ID', ROUTE_ROOM)

--- What the log says of a route after the ids, as in `$log`.
-- @return nil when that is too long to be written here
function M.log_text(method, label, service)
  local text = ('","method":"%s","route":"%s","upstream":"%s'):format(method, label, service)
  return #text <= ROUTE_ROOM and text or nil
end

--- First thing for each request: draws its id.
function M.draw()
  state.count = state.count + NEXT
  state.mixed = mix(state.count)
  second[0], second[1], second[2], second[3] = DIGITS[mixed[0]], DIGITS[mixed[1]], DIGITS[mixed[2]], DIGITS[mixed[3]]
  second[4], second[5], second[6], second[7] = DIGITS[mixed[4]], DIGITS[mixed[5]], DIGITS[mixed[6]], DIGITS[mixed[7]]
  copy(id + HALF, second, HALF)
end

-- The next two are for the request that drew last: nothing may wait in between.

--- All texts of a request that brings no names.
-- @param log_text  as from `log_text`
-- @param deadline  seconds since 1970 with three decimals
-- @param secure  whether the client came by https
function M.write(log_text, deadline, secure)
  local lines = secure and https or http
  local buffer, size = lines.buffer, lines.size
  copy(buffer + HALF, second, HALF)
  copy(buffer + TRACE + HALF, second, HALF)
  copy(buffer + SPAN, second, HALF)
  copy(buffer + size, deadline, #deadline)
  set("up", buffer, size + #deadline)
  set(secure and "shop_request_id" or "down", id, ID)
  copy(to_log + HALF, second, HALF)
  copy(to_log + LOG_SIZE - HALF, second, HALF)
  copy(to_log + LOG_SIZE, log_text, #log_text)
  set("log", to_log, LOG_SIZE + #log_text)
end

--- What the request is called.
function M.of_request()
  return match(var.up, "^[^\r]+")
end

--- Only the id; the maps of nginx.conf make the texts of it and of what the request brings.
-- @param sampled  whether a span of it is kept
function M.leave_to_maps(sampled)
  set("shop_id", id, ID)
  if sampled then
    var.shop_traceparent = "00-" .. var.shop_trace .. "-" .. ffi_string(second, HALF) .. "-01"
  end
end

--- In each worker, once.
function M.start()
  local seed = ffi.new("union { unsigned char bytes[16]; uint64_t numbers[2]; }")
  if C.RAND_bytes(seed.bytes, 16) ~= 1 then
    error("OpenSSL gave no random bytes")
  end
  state.count = seed.numbers[1]
  local first = bit.tohex(seed.numbers[0])
  for _, text in ipairs({ id, http.buffer, http.buffer + TRACE, https.buffer, https.buffer + TRACE, to_log, to_log + LOG_SIZE - ID }) do
    copy(text, first, HALF)
  end
end

return M
