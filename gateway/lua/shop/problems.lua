-- RFC 9457 problem documents: the only form of an error that the gateway makes itself. Codes and titles are those of
-- shared_lib/api/problems.py, so that a client can't tell which of the two spoke.

local cjson = require "cjson.safe"
local cors = require "shop.cors"
local ids = require "shop.ids"

local ngx = ngx
local var = ngx.var

local M = {}

local TITLES = {
  bad_request = "The request is malformed",
  unauthorized = "Authentication is needed",
  invalid_token = "The access token is not valid",
  permission_denied = "You may not do this",
  not_found = "Not found",
  method_not_allowed = "This method is not allowed here",
  request_timeout = "The request took too long to arrive",
  payload_too_large = "The request body is too large",
  uri_too_long = "The address is too long",
  range_not_satisfiable = "This range does not exist",
  rate_limited = "Too many requests",
  headers_too_large = "The request headers are too large",
  internal_error = "Something went wrong on our side",
  not_implemented = "This is not supported",
  bad_gateway = "A part of the shop gave an answer that cannot be used",
  service_unavailable = "A part of the shop is not available at the moment",
  gateway_timeout = "A part of the shop did not answer in time",
  http_version_not_supported = "This version of HTTP is not supported",
}

-- What Nginx itself refused, by status. 431 arrives as Nginx's own 494, see nginx.conf.template.
local OF_STATUS = {
  [400] = { "bad_request" },
  [403] = { "not_found", status = 404 },  -- static files: a folder or an unreadable file is nothing to know about
  [404] = { "not_found" },
  [405] = { "method_not_allowed" },
  [408] = { "request_timeout" },
  [413] = { "payload_too_large" },
  [414] = { "uri_too_long" },
  [416] = { "range_not_satisfiable" },
  [431] = { "headers_too_large" },
  [500] = { "internal_error" },
  [501] = { "not_implemented" },
  [502] = { "bad_gateway" },
  [503] = { "service_unavailable", retry_after = "1" },
  [504] = { "gateway_timeout" },
  [505] = { "http_version_not_supported" },
}

local ORDER = { "type", "title", "status", "detail", "code", "request_id" }

local function document(status, code, detail, extra)
  local title = TITLES[code]
  local members = {
    type = "urn:shop:problem:" .. code,
    title = title,
    status = status,
    detail = detail or title,
    code = code,
    request_id = ids.of_request(),
  }
  local parts = {}
  for _, name in ipairs(ORDER) do
    parts[#parts + 1] = ('"%s":%s'):format(name, cjson.encode(members[name]))
  end
  for name, value in pairs(extra or {}) do
    parts[#parts + 1] = ('"%s":%s'):format(name, cjson.encode(value))
  end
  return "{" .. table.concat(parts, ",") .. "}\n"
end

--- Answers the request with a problem and ends it. Used in the access phase and as content.
-- @param extra  members beside the standard ones, or nil
function M.answer(status, code, detail, extra)
  -- Unread body bytes would be taken for the next request of a kept-alive connection.
  if not ngx.req.is_internal() then
    ngx.req.discard_body()
  end
  cors.allow()
  var.shop_problem = code
  ngx.status = status
  local header = ngx.header
  header["Content-Type"] = "application/problem+json"
  header["Cache-Control"] = "no-store"
  local body = document(status, code, detail, extra)
  header["Content-Length"] = #body
  ngx.print(body)
  return ngx.exit(status)
end

local function more_than_one_authorization()
  local value = ngx.req.get_headers(0)["authorization"]
  return type(value) == "table"
end

--- The content of `location = /_problem`: what Nginx refused or could not do.
-- @param status  if it is not that of the answer so far
function M.of_nginx(status)
  status = status or ngx.status
  local known = OF_STATUS[status] or { status >= 500 and "internal_error" or "bad_request" }
  local code, detail = known[1], nil
  local header = ngx.header
  if status == 400 and var.shop_malformed ~= "" and var.request_uri then
    detail = "The path is malformed: no empty, dot or wrongly encoded segments."
  elseif status == 400 and more_than_one_authorization() then
    -- Nginx refuses the doubled header before any route is known; to the client it is an unusable token.
    status, code, detail = 401, "invalid_token", "There must be exactly one Authorization header."
    header["WWW-Authenticate"] = 'Bearer error="invalid_token"'
  elseif status == 405 then
    header["Allow"] = "GET, HEAD"
  elseif status == 416 then
    -- The file's answer had its headers already when its range was refused.
    for name in pairs(ngx.resp.get_headers()) do
      if name ~= "content-range" then
        header[name] = nil
      end
    end
  elseif (status == 502 or status == 504) and (var.upstream_connect_time or "-"):sub(-1) == "-" then
    -- It was never reached: that is an outage, not a bad answer.
    status, code = 503, "service_unavailable"
    header["Retry-After"] = "1"
  end
  if known.retry_after then
    header["Retry-After"] = known.retry_after
  end
  return M.answer(known.status or status, code, detail)
end

return M
