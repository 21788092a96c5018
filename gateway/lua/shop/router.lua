-- From a path to what the route table says about it.
--
-- A tree of segments: a literal child wins over `{name}`; a `/**` that was passed on the way down is taken when nothing
-- more specific fits. There is no going back up: the most specific path decides alone, so a rule for a wider path can
-- never quietly answer for a narrower one.

local ffi = require "ffi"

local C = ffi.C
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

--- Whether a path is plainly well formed: no escapes, and neither empty segments nor any that begin with a dot. Where it is
-- not, `$shop_malformed` of nginx.conf tells, at ten times the price.
function M.is_plain(request_uri)
  local stop = byte(request_uri, tonumber(C.strspn(request_uri, PLAIN)) + 1)
  return (stop == nil or stop == 63) and byte(request_uri) == 47
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
