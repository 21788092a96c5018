-- From a path to what the route table says about it.
--
-- A tree of segments: a literal child wins over `{name}`; a `/**` that was passed on the way down is taken when nothing
-- more specific fits. There is no going back up: the most specific path decides alone, so a rule for a wider path can
-- never quietly answer for a narrower one.

local bit = require "bit"
local ffi = require "ffi"

local C = ffi.C
local copy = ffi.copy
local band, bor, bxor, bnot, lshift, rshift = bit.band, bit.bor, bit.bxor, bit.bnot, bit.lshift, bit.rshift
local find, sub, gsub, char, byte = string.find, string.sub, string.gsub, string.char, string.byte

ffi.cdef [[
size_t strspn(const char *text, const char *accepted);
char *strstr(const char *text, const char *part);
]]

local M = {}

local PREFIX = "/api/v1/"
local BELOW = #PREFIX + 1

local root
local below  -- the node of PREFIX
local plain  -- whole path -> node, for paths without `{name}`: one look-up

local function new_node()
  return { children = {} }
end

local ORDER = { "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE" }

--- Builds the tree. `routes` as from `schema.load`; the tables are kept and given back by `match`.
function M.build(routes)
  root, plain = new_node(), {}
  local nodes = {}
  for _, route in ipairs(routes) do
    local node = root
    for segment in route.path:gmatch("/([^/]+)") do
      if segment == "**" then
        node.rest = node.rest or new_node()
        node = node.rest
      elseif find(segment, "{", 1, true) then
        node.any = node.any or new_node()
        node = node.any
      else
        node.children[segment] = node.children[segment] or new_node()
        node = node.children[segment]
      end
    end
    node.routes = node.routes or {}
    node.routes[route.method] = route
    if route.method == "GET" then
      node.routes.HEAD = route
    end
    nodes[node] = true
    if not find(route.path, "[{*]") then
      plain[route.path] = node
    end
  end
  local api = root.children.api
  below = api and api.children.v1
  for node in pairs(nodes) do
    local allowed = {}
    for _, method in ipairs(ORDER) do
      if node.routes[method] then
        allowed[#allowed + 1] = method
      end
    end
    node.allow = table.concat(allowed, ", ") .. ", OPTIONS"
  end
end

local function unreserved(hex)
  local byte = char(tonumber(hex, 16))
  return find(byte, "^[%w._~-]$") and byte or nil
end

local PLAIN = "/-.0123456789:@ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz~"
local NOTHING = ffi.cast("char *", nil)

-- Eight bytes at a time, all below 128 and each in an eighth of a number: in range, equal and the like are additions that reach
-- the highest bit of a byte and never the next byte.
local HIGH, ONES = 0x8080808080808080ULL, 0x0101010101010101ULL
local CASE, SLASH, LOW = 0x20 * ONES, 0x2f * ONES, 0x7f * ONES
local FROM_DASH, OVER_NINE = (0x80 - 0x2d) * ONES, (0x7f - 0x39) * ONES    -- - . / and digits
local FROM_A, OVER_Z = (0x80 - 0x61) * ONES, (0x7f - 0x7a) * ONES
local ROOM = 64
local FILLER = ("a"):rep(ROOM)
local window = ffi.new("uint64_t[?]", ROOM / 8)

-- @param before  where slashes stand in the eight bytes before
-- @return bits where a character is unusual, or a slash or dot follows a slash; where slashes stand
local function look(word, before)
  local letter = bor(word, CASE)
  local usual = bor(band(word + FROM_DASH, bnot(word + OVER_NINE)), band(letter + FROM_A, bnot(letter + OVER_Z)))
  local slash = bnot(bxor(word, SLASH) + LOW)
  local slash_or_dot = bnot(bxor(bor(word, ONES), SLASH) + LOW)
  local after = bor(lshift(band(slash, HIGH), 8), rshift(band(before, HIGH), 56))
  return bor(word, bnot(usual), band(after, slash_or_dot)), slash
end

-- Most paths: letters, digits, dashes and dots in segments.
local function is_usual(path)
  if #path > ROOM then
    return false
  end
  copy(window, FILLER, ROOM)
  copy(window, path, #path)
  local odd1, odd2, odd3, odd4, odd5, odd6, odd7, odd8, slash
  odd1, slash = look(window[0], 0ULL)
  odd2, slash = look(window[1], slash)
  odd3, slash = look(window[2], slash)
  odd4, slash = look(window[3], slash)
  odd5, slash = look(window[4], slash)
  odd6, slash = look(window[5], slash)
  odd7, slash = look(window[6], slash)
  odd8 = look(window[7], slash)
  return band(bor(odd1, odd2, odd3, odd4, odd5, odd6, odd7, odd8), HIGH) == 0
end

--- Whether a path is plainly well formed: no escapes, and neither empty segments nor any that begin with a dot. Where it is
-- not, `$shop_malformed` of nginx.conf tells, at ten times the price.
function M.is_plain(request_uri)
  if byte(request_uri) ~= 47 then
    return false
  elseif is_usual(request_uri) then
    return true
  end
  local stop = byte(request_uri, tonumber(C.strspn(request_uri, PLAIN)) + 1)
  return (stop == nil or stop == 63)
    and C.strstr(request_uri, "//") == NOTHING and C.strstr(request_uri, "/.") == NOTHING
end

--- The path of a request as the services will read it: without the query, and with letters and digits that were
-- written as %XX decoded, so that `/orders/%61dmin` can't be one route here and another one there.
function M.path_of(request_uri)
  local query = find(request_uri, "?", 1, true)
  local path = query and sub(request_uri, 1, query - 1) or request_uri
  if find(path, "%", 1, true) then
    path = gsub(path, "%%(%x%x)", unreserved)
  end
  return path
end

local function walk(path)
  local node, start, rest = root, 2, nil
  while true do
    local slash = find(path, "/", start, true)
    local segment = sub(path, start, slash and slash - 1 or -1)
    if segment == "" then
      return nil
    end
    rest = node.rest or rest
    node = node.children[segment] or node.any
    if not node then
      return rest
    end
    if not slash then
      return node.routes and node or rest
    end
    start = slash + 1
  end
end

-- The next two are `walk` for most paths with names in them, two or three segments below /api/v1/, and without a loop:
-- LuaJIT compiles what calls them as one piece. What they can't say they leave to `walk`.

local function last(path, node, start)
  local segment = sub(path, start)
  node = node.children[segment] or node.any
  if not node or node.rest or segment == "" then
    return walk(path)
  end
  return node.routes and node
end

local function walk_short(path)
  local first = find(path, "/", BELOW, true)
  local node = first and below and below.children[sub(path, BELOW, first - 1)]
  if not node or node.rest then
    return walk(path)
  end
  local second = find(path, "/", first + 1, true)
  if not second then
    return last(path, node, first + 1)
  end
  node = node.children[sub(path, first + 1, second - 1)] or node.any
  if not node or node.rest or second == first + 1 or find(path, "/", second + 1, true) then
    return walk(path)
  end
  return last(path, node, second + 1)
end

--- @return the node of a path: `routes` by method, `allow` for the Allow header; nil when there is none
function M.match(path)
  local node = plain[path]
  if node then
    return node
  elseif sub(path, 1, BELOW - 1) == PREFIX then
    return walk_short(path) or nil
  end
  return walk(path)
end

return M
