-- OPTIONS for a path that exists. Which origins may read an answer is decided in nginx.conf by the list of origins; here is
-- only what a preflight adds.

local ngx = ngx
local var = ngx.var

local M = {}

local HEADERS = "Authorization, Content-Type, Accept-Language, Idempotency-Key, If-Match, If-None-Match, X-Cart-Token, "
  .. "X-Request-Id, traceparent"

--- @param allow  the methods of the path, as in an Allow header
function M.answer_options(allow)
  local header = ngx.header
  ngx.req.discard_body()
  header["Allow"] = allow
  if var.shop_cors_origin ~= "" and var.http_access_control_request_method then
    header["Access-Control-Allow-Methods"] = allow
    header["Access-Control-Allow-Headers"] = HEADERS
    header["Access-Control-Max-Age"] = "600"
  end
  return ngx.exit(204)
end

return M
