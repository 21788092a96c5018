-- /healthz: this gateway is alive. /readyz: every service is asked for its own, one line each.

local cjson = require "cjson.safe"
local http_client = require "shop.http_client"

local ngx = ngx
local state = ngx.shared.shop_state

local M = {}

local SERVICES = { "svc-accounts", "svc-catalog", "svc-cart", "svc-orders", "svc-payments", "svc-notifications" }
local TIMEOUT = 2000    -- ms
local KEEP = 1          -- s that an answer is given again: asking the gateway often doesn't ask the services often

local admin_port

local function send(status, text)
  ngx.status = status
  ngx.header["Content-Type"] = "text/plain; charset=utf-8"
  ngx.header["Cache-Control"] = "no-store"
  ngx.header["Content-Length"] = #text
  ngx.print(text)
  return ngx.exit(status)
end

local function ask(service)
  local status, body = http_client.get(admin_port, "/upstream/" .. service .. "/readyz", TIMEOUT)
  if status == 200 then
    return true, service .. " ready"
  elseif not status then
    return false, service .. " not ready: " .. body
  elseif status == 502 or status == 504 then
    return false, service .. " not ready: no answer"
  end
  local problem = cjson.decode(body)
  local why = type(problem) == "table" and type(problem.detail) == "string" and problem.detail or "status " .. status
  return false, service .. " not ready: " .. why:gsub("%c", " ")
end

function M.healthz()
  return send(200, "ok\n")
end

function M.readyz()
  local kept, status = state:get("readyz")
  if not kept then
    local threads, lines = {}, {}
    for index, service in ipairs(SERVICES) do
      threads[index] = ngx.thread.spawn(ask, service)
    end
    status = 200
    for index, thread in ipairs(threads) do
      local ran, ready, line = ngx.thread.wait(thread)
      lines[index] = ran and line or SERVICES[index] .. " not ready: it could not be asked"
      if not (ran and ready) then
        status = 503
      end
    end
    kept = table.concat(lines, "\n") .. "\n"
    state:set("readyz", kept, KEEP, status)
  end
  return send(status, kept)
end

function M.init(settings)
  admin_port = settings.admin_port
end

return M
