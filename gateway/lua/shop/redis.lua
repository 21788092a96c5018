-- As much of a Redis client as the gateway needs: RESP2 over a cosocket, one command at a time.

local byte, sub = string.byte, string.sub

local M = {}
M.__index = M

local MAX_DEPTH = 2

local function command(...)
  local count = select("#", ...)
  local parts = { "*", count, "\r\n" }
  for index = 1, count do
    local text = tostring((select(index, ...)))
    parts[#parts + 1] = "$" .. #text .. "\r\n" .. text .. "\r\n"
  end
  return table.concat(parts)
end

local function read(socket, depth)
  local line, err = socket:receive("*l")
  if not line then
    return nil, err
  end
  local kind, rest = byte(line, 1), sub(line, 2)
  if kind == 43 then        -- +
    return rest
  elseif kind == 45 then    -- -
    return nil, rest
  elseif kind == 58 then    -- :
    return tonumber(rest)
  end
  local length = tonumber(rest)
  if kind == 36 and length then    -- $
    if length < 0 then
      return false
    end
    local text
    text, err = socket:receive(length + 2)
    return text and sub(text, 1, -3), err
  elseif kind == 42 and length and depth < MAX_DEPTH then    -- *
    local list = {}
    for index = 1, length do
      local value
      value, err = read(socket, depth + 1)
      if value == nil then
        return nil, err
      end
      list[index] = value
    end
    return list
  end
  return nil, "not the answer of a Redis server"
end

--- Opens a connection, or takes a kept one.
-- @param options  host, port, user, password ("" or nil: no AUTH), timeout (ms), pool (name; who shares it shares connections)
-- @return the connection with `fresh` set to whether it was just opened; or nil and why
function M.connect(options)
  local socket = ngx.socket.tcp()
  socket:settimeouts(options.timeout, options.timeout, options.timeout)
  local fine, err = socket:connect(options.host, options.port, { pool = options.pool })
  if not fine then
    return nil, err
  end
  local self = setmetatable({ socket = socket, fresh = socket:getreusedtimes() == 0 }, M)
  if self.fresh and options.password and options.password ~= "" then
    fine, err = self:call("AUTH", options.user, options.password)
    if not fine then
      self:close()
      return nil, err
    end
  end
  return self
end

--- Sends one command.
-- @return its answer: string, number, list, or false for a null; nil and why when it failed
function M:call(...)
  local fine, err = self.socket:send(command(...))
  if not fine then
    return nil, err
  end
  return read(self.socket, 0)
end

--- Keeps the connection for the next `connect`. Only after a call that did not fail.
function M:keep()
  return self.socket:setkeepalive(30000, 4)
end

function M:close()
  return self.socket:close()
end

return M
