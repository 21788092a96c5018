-- Which origins may read an answer is decided in nginx.conf by the list of origins; here are the headers that say so, and what
-- a preflight adds.

local ngx = ngx
local var = ngx.var

local M = {}

local HEADERS = "Authorization, Content-Type, Accept-Language, Idempotency-Key, If-Match, If-None-Match, X-Cart-Token, "
  .. "X-Request-Id, traceparent"

--- For answers to a request that has an Origin, once or more often.
-- @return whether it is one that may read them
function M.allow()
  local origin = var.shop_cors_origin
  if origin == "" then
    return false
  end
  local header = ngx.header
  header["Access-Control-Allow-Origin"] = origin
  header["Access-Control-Allow-Credentials"] = "true"
  header["Access-Control-Expose-Headers"] = var.shop_cors_expose
  return true
end

--- OPTIONS for a path that exists.
-- @param allow  the methods of the path, as in an Allow header
function M.answer_options(allow)
  local header = ngx.header
  ngx.req.discard_body()
  header["Allow"] = allow
  if M.allow() and var.http_access_control_request_method then
    header["Access-Control-Allow-Methods"] = allow
    header["Access-Control-Allow-Headers"] = HEADERS
    header["Access-Control-Max-Age"] = "600"
  end
  return ngx.exit(204)
end

return M
