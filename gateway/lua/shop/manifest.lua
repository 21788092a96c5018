-- What this gateway passes on, for those who deploy: told at /internal/v1/manifest of the inner listener, never to clients.

local cjson = require("cjson.safe")

local M = {}

local text

--- The manifest as JSON.
-- @param settings  `version`
-- @param config  as from `schema.load`
function M.text(settings, config)
  local routes = {}
  for position, route in ipairs(config.routes) do
    routes[position] = { method = route.method, path = route.path, service = route.service, auth = route.auth }
  end
  return cjson.encode({ format = 1, service = "gateway", version = settings.version, routes = routes })
end

--- For bin/render: writes it to a file. Raises an error when it cannot.
function M.write(path, settings, config)
  local file = assert(io.open(path, "w"))
  assert(file:write(M.text(settings, config), "\n"))
  file:close()
end

function M.init(settings, config)
  text = M.text(settings, config)
end

--- The content of /internal/v1/manifest.
function M.answer()
  ngx.header["Content-Type"] = "application/json"
  ngx.print(text)
end

return M
