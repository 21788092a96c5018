-- One GET over a cosocket, for the gateway's own questions to the services. It goes to the gateway's own loopback listener,
-- which passes it on through the same upstreams as everything else: names are resolved in one place only.

local match, find = string.match, string.find

local M = {}

local MAX_BODY = 262144

--- @param timeout  milliseconds for each step
-- @return status (number), body; or nil and why
function M.get(port, path, timeout)
  local socket = ngx.socket.tcp()
  socket:settimeouts(timeout, timeout, timeout)
  local fine, err = socket:connect("127.0.0.1", port)
  if not fine then
    return nil, err
  end
  fine, err = socket:send("GET " .. path .. " HTTP/1.0\r\nHost: gateway\r\nConnection: close\r\n\r\n")
  if not fine then
    socket:close()
    return nil, err
  end
  local answer, why, partial = socket:receive(MAX_BODY)
  socket:close()
  if answer then
    return nil, "the answer is too long"
  end
  if why ~= "closed" then
    return nil, why
  end
  local status = match(partial, "^HTTP/1%.%d (%d%d%d)")
  local _, head_end = find(partial, "\r\n\r\n", 1, true)
  if not status or not head_end then
    return nil, "no HTTP answer"
  end
  return tonumber(status), partial:sub(head_end + 1)
end

return M
