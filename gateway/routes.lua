-- Every path that the gateway answers or passes on. A path that is not in here is a 404.
--
--   route("METHODS", "PATH", { auth = ..., ... })
--
-- METHODS  separated by spaces. GET also allows HEAD; OPTIONS (the CORS preflight) is answered for every path.
-- PATH     from the root. `{name}` stands for one segment, a last `/**` for one or more segments. A literal segment wins
--          over `{name}`, both win over `/**`. The most specific path decides alone: a method that it lacks is a 405.
-- auth     "public": a token is not looked at. "optional": no token is a guest, a bad one a 401. "required".
-- roles    one of them is needed, else 403 (admin includes staff). Only where everything behind the path needs it: finer
--          rules, like a seller's own products, belong to the service.
-- limits   names of `limits` below; default { "address", "user" }.
-- body     largest request body, default "64k".
-- time     name of `times` below; default "normal".
-- cache    answers that the service calls public are kept: "lists" until anything in the catalog's lists changes, "product"
--          until the product that the last segment names does (see lua/shop/cache.lua). Only below /api/v1/catalog/.
-- answer   instead of a service: the gateway answers by itself (see lua/shop/health.lua).
-- websocket  true: the connection may be upgraded.
--
-- Checked by lua/shop/schema.lua, when bin/render runs and whenever Nginx starts or reloads.

return {
  -- Who is counted (`by`: address, user or email), how many requests in how many seconds, and how many at once.
  -- GATEWAY_LIMIT_<NAME> in the environment overrides one, like GATEWAY_LIMIT_USER="200/1s burst 400" or "off".
  limits = {
    address      = { by = "address", allow = 50,  seconds = 1,  burst = 100 },
    user         = { by = "user",    allow = 20,  seconds = 1,  burst = 40 },
    login        = { by = "address", allow = 10,  seconds = 60, burst = 10 },
    login_email  = { by = "email",   allow = 5,   seconds = 60, burst = 5 },
    registration = { by = "address", allow = 10,  seconds = 60, burst = 10 },
    webhook      = { by = "address", allow = 500, seconds = 1,  burst = 1000 },
  },

  -- How long a request may take. The service gets the moment as X-Request-Deadline; the gateway waits a second longer.
  -- The figures are GATEWAY_TIME_NORMAL and GATEWAY_TIME_LONG in the environment.
  times = { "normal", "long" },

  gateway = {
    route("GET", "/healthz", { auth = "public", answer = "healthz", limits = {} }),
    route("GET", "/readyz",  { auth = "public", answer = "readyz", limits = { "address" } }),
  },

  ["svc-accounts"] = {
    route("GET",  "/.well-known/jwks.json",                { auth = "public" }),
    route("POST", "/api/v1/accounts/register",             { auth = "public", limits = { "address", "registration" } }),
    route("POST", "/api/v1/accounts/token",                { auth = "public", body = "8k", limits = { "address", "login", "login_email" } }),
    route("POST", "/api/v1/accounts/token/refresh",        { auth = "public", body = "8k" }),
    route("POST", "/api/v1/accounts/token/revoke",         { auth = "public", body = "8k" }),
    route("GET PATCH DELETE", "/api/v1/accounts/me",       { auth = "required" }),
    route("GET",  "/api/v1/accounts/me/export",            { auth = "required", time = "long" }),
    route("GET POST", "/api/v1/accounts/me/addresses",     { auth = "required" }),
    route("GET PATCH DELETE", "/api/v1/accounts/me/addresses/{id}", { auth = "required" }),
    route("GET",  "/api/v1/accounts/me/sessions",          { auth = "required" }),
    route("DELETE", "/api/v1/accounts/me/sessions/{id}",   { auth = "required" }),
    route("POST DELETE", "/api/v1/accounts/me/mfa/totp",   { auth = "required" }),
    route("POST", "/api/v1/accounts/me/mfa/totp/confirm",  { auth = "required" }),
    route("POST", "/api/v1/accounts/email/verify",         { auth = "public" }),
    route("POST", "/api/v1/accounts/email/verify/resend",  { auth = "public" }),
    route("POST", "/api/v1/accounts/password/forgot",      { auth = "public" }),
    route("POST", "/api/v1/accounts/password/reset",       { auth = "public" }),
    route("POST", "/api/v1/accounts/password/change",      { auth = "required" }),
    route("GET POST", "/api/v1/accounts/users",            { auth = "required", roles = { "staff" } }),
    route("GET POST PUT PATCH DELETE", "/api/v1/accounts/users/**", { auth = "required", roles = { "staff" } }),
  },

  ["svc-catalog"] = {
    route("GET",  "/api/v1/catalog/categories",            { auth = "public", cache = "lists" }),
    route("POST", "/api/v1/catalog/categories",            { auth = "required", roles = { "staff" } }),
    route("GET",  "/api/v1/catalog/categories/{id}",       { auth = "public" }),
    route("PATCH DELETE", "/api/v1/catalog/categories/{id}", { auth = "required", roles = { "staff" } }),
    route("GET",  "/api/v1/catalog/products",              { auth = "public", cache = "lists" }),
    route("POST", "/api/v1/catalog/products",              { auth = "required", roles = { "seller", "staff" } }),
    route("GET",  "/api/v1/catalog/products/{id}",         { auth = "public", cache = "product" }),
    route("PATCH DELETE", "/api/v1/catalog/products/{id}", { auth = "required", roles = { "seller", "staff" } }),
    route("POST", "/api/v1/catalog/products/{id}/variants", { auth = "required", roles = { "seller", "staff" } }),
    route("PATCH DELETE", "/api/v1/catalog/products/{id}/variants/{variant_id}", { auth = "required", roles = { "seller", "staff" } }),
    route("POST", "/api/v1/catalog/products/{id}/images",  { auth = "required", roles = { "seller", "staff" }, body = "11m", time = "long" }),
    route("PATCH DELETE", "/api/v1/catalog/products/{id}/images/{image_id}", { auth = "required", roles = { "seller", "staff" } }),
    route("GET",  "/api/v1/catalog/products/{id}/reviews", { auth = "public" }),
    route("POST", "/api/v1/catalog/products/{id}/reviews", { auth = "required", body = "24m", time = "long" }),
    route("PATCH DELETE", "/api/v1/catalog/products/{id}/reviews/{review_id}", { auth = "required", body = "24m", time = "long" }),
    route("POST DELETE", "/api/v1/catalog/products/{id}/reviews/{review_id}/helpful", { auth = "required" }),
    route("POST", "/api/v1/catalog/variants/{id}/stock",   { auth = "required", roles = { "seller", "staff" } }),
    route("POST", "/api/v1/catalog/variants",              { auth = "required", roles = { "seller", "staff" } }),
    route("PATCH DELETE", "/api/v1/catalog/variants/{id}", { auth = "required", roles = { "seller", "staff" } }),
    route("POST", "/api/v1/catalog/images",                { auth = "required", roles = { "seller", "staff" }, body = "11m", time = "long" }),
    route("PATCH DELETE", "/api/v1/catalog/images/{id}",   { auth = "required", roles = { "seller", "staff" } }),
    route("GET",  "/api/v1/catalog/suggest",               { auth = "public" }),
    route("GET",  "/api/v1/catalog/posts",                 { auth = "public" }),
    route("POST", "/api/v1/catalog/posts",                 { auth = "required", body = "24m", time = "long" }),
    route("GET",  "/api/v1/catalog/posts/{id}",            { auth = "public" }),
    route("PATCH DELETE", "/api/v1/catalog/posts/{id}",    { auth = "required" }),
    route("POST DELETE", "/api/v1/catalog/posts/{id}/like", { auth = "required" }),
    route("GET",  "/api/v1/catalog/posts/{id}/comments",   { auth = "public" }),
    route("POST", "/api/v1/catalog/posts/{id}/comments",   { auth = "required" }),
    route("PATCH DELETE", "/api/v1/catalog/posts/{id}/comments/{comment_id}", { auth = "required" }),
    route("GET",  "/api/v1/catalog/imports",               { auth = "required", roles = { "seller", "staff" } }),
    route("POST", "/api/v1/catalog/imports",               { auth = "required", roles = { "seller", "staff" }, body = "24m", time = "long" }),
    route("GET",  "/api/v1/catalog/imports/{id}",          { auth = "required", roles = { "seller", "staff" } }),
    route("GET",  "/api/v1/catalog/export",                { auth = "required", roles = { "seller", "staff" }, time = "long" }),
  },

  ["svc-cart"] = {
    route("GET DELETE", "/api/v1/cart",                    { auth = "optional" }),
    route("POST", "/api/v1/cart/lines",                    { auth = "optional" }),
    route("PATCH DELETE", "/api/v1/cart/lines/{id}",       { auth = "optional" }),
    route("POST", "/api/v1/cart/merge",                    { auth = "required" }),
    route("POST", "/api/v1/cart/coupons",                  { auth = "optional" }),
    route("DELETE", "/api/v1/cart/coupons/{code}",         { auth = "optional" }),
    route("GET POST", "/api/v1/cart/admin/coupons",        { auth = "required", roles = { "staff" } }),
    route("GET POST PUT PATCH DELETE", "/api/v1/cart/admin/coupons/**", { auth = "required", roles = { "staff" } }),
    route("GET POST DELETE", "/api/v1/cart/wishlist",      { auth = "required" }),
    route("GET POST DELETE", "/api/v1/cart/wishlist/**",   { auth = "required" }),
  },

  ["svc-orders"] = {
    route("GET",  "/api/v1/orders/shipping-methods",       { auth = "public" }),
    route("POST", "/api/v1/orders/quote",                  { auth = "required" }),
    route("GET POST", "/api/v1/orders",                    { auth = "required" }),
    route("GET",  "/api/v1/orders/admin",                  { auth = "required", roles = { "seller", "staff" } }),
    route("GET",  "/api/v1/orders/admin/**",               { auth = "required", roles = { "seller", "staff" } }),
    route("POST", "/api/v1/orders/returns/{id}/approve",   { auth = "required", roles = { "staff" } }),
    route("POST", "/api/v1/orders/returns/{id}/reject",    { auth = "required", roles = { "staff" } }),
    route("POST", "/api/v1/orders/returns/{id}/receive",   { auth = "required", roles = { "staff" } }),
    route("GET",  "/api/v1/orders/{id}",                   { auth = "required" }),
    route("POST", "/api/v1/orders/{id}/payments",          { auth = "required" }),
    route("POST", "/api/v1/orders/{id}/cancel",            { auth = "required" }),
    route("GET",  "/api/v1/orders/{id}/invoice",           { auth = "required", time = "long" }),
    route("GET",  "/api/v1/orders/{id}/credit-notes/{refund}", { auth = "required", time = "long" }),
    route("GET POST", "/api/v1/orders/{id}/returns",       { auth = "required" }),
    route("POST", "/api/v1/orders/{id}/ship",              { auth = "required", roles = { "seller", "staff" } }),
    route("POST", "/api/v1/orders/{id}/deliver",           { auth = "required", roles = { "staff" } }),
    route("POST", "/api/v1/orders/{id}/refund",            { auth = "required", roles = { "staff" } }),
  },

  ["svc-payments"] = {
    route("GET",  "/api/v1/payments/methods",              { auth = "required" }),
    route("GET",  "/api/v1/payments/{id}",                 { auth = "required" }),
    route("POST", "/api/v1/payments/{id}/confirm",         { auth = "required" }),
    route("POST", "/api/v1/payments/webhooks/{provider}",  { auth = "public", body = "256k", limits = { "webhook" } }),
  },

  ["svc-notifications"] = {
    route("GET",  "/api/v1/notifications",                 { auth = "required" }),
    route("POST", "/api/v1/notifications/read-all",        { auth = "required" }),
    route("POST", "/api/v1/notifications/{id}/read",       { auth = "required" }),
    route("GET PUT", "/api/v1/notifications/preferences",  { auth = "required" }),
    route("GET",  "/api/v1/notifications/push/key",        { auth = "required" }),
    route("POST DELETE", "/api/v1/notifications/push/subscriptions", { auth = "required" }),
    route("DELETE", "/api/v1/notifications/push/subscriptions/{id}", { auth = "required" }),
    route("POST", "/api/v1/notifications/stream-ticket",   { auth = "required" }),
    route("GET POST DELETE", "/api/v1/notifications/webhooks",    { auth = "required", roles = { "seller", "staff" } }),
    route("GET PATCH DELETE POST", "/api/v1/notifications/webhooks/**", { auth = "required", roles = { "seller", "staff" } }),
  },

  -- The live channel of svc-notifications, a process of its own; the ticket in the query is checked there.
  ["svc-notifications-live"] = {
    route("GET",  "/ws/notifications",                     { auth = "public", limits = { "address" }, websocket = true }),
  },
}
