-- Which e-mail address a sign-in tries, so that guessing one account's password from many addresses is limited too.

local cjson = require("cjson.safe").new()
local crypto = require "shop.crypto"
local limits = require "shop.limits"

cjson.decode_max_depth(8)

local M = {}

--- What limits count the `email` in the JSON body by, spelled as the accounts service would compare it; nil when there is
-- none: then the service refuses the request by itself.
function M.email_tried()
  ngx.req.read_body()
  local text = ngx.req.get_body_data()
  local body = text and cjson.decode(text)
  local email = type(body) == "table" and body.email
  if type(email) ~= "string" then
    return nil
  end
  email = email:gsub("^%s+", ""):gsub("%s+$", ""):lower()
  return limits.who(crypto.sha256(email, #email))
end

return M
