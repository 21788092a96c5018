-- ECDSA P-256 with SHA-256, and SHA-256 itself, by OpenSSL's EVP interface. Nginx is linked with libcrypto, so its
-- symbols are found without loading anything.

local ffi = require "ffi"

local C = ffi.C
local ffi_gc = ffi.gc
local ffi_string = ffi.string
local char, byte, rep, sub = string.char, string.byte, string.rep, string.sub

ffi.cdef [[
typedef struct evp_md_st EVP_MD;
typedef struct evp_md_ctx_st EVP_MD_CTX;
typedef struct evp_pkey_st EVP_PKEY;
typedef struct evp_pkey_ctx_st EVP_PKEY_CTX;
typedef struct engine_st ENGINE;
const EVP_MD *EVP_sha256(void);
EVP_MD *EVP_MD_fetch(void *libctx, const char *algorithm, const char *properties);
EVP_MD_CTX *EVP_MD_CTX_new(void);
void EVP_MD_CTX_free(EVP_MD_CTX *ctx);
int EVP_DigestInit_ex(EVP_MD_CTX *ctx, const EVP_MD *type, ENGINE *impl);
int EVP_DigestUpdate(EVP_MD_CTX *ctx, const void *d, size_t cnt);
int EVP_DigestFinal_ex(EVP_MD_CTX *ctx, unsigned char *md, unsigned int *s);
EVP_PKEY *d2i_PUBKEY(EVP_PKEY **a, const unsigned char **pp, long length);
void EVP_PKEY_free(EVP_PKEY *pkey);
int EVP_DigestVerifyInit(EVP_MD_CTX *ctx, EVP_PKEY_CTX **pctx, const EVP_MD *type, ENGINE *e, EVP_PKEY *pkey);
int EVP_DigestVerify(EVP_MD_CTX *ctx, const unsigned char *sigret, size_t siglen, const unsigned char *tbs, size_t tbslen);
void ERR_clear_error(void);
]]

local M = {}

-- A fetched digest saves the look-up by name at every use (OpenSSL 3).
local SHA256 = C.EVP_MD_fetch(nil, "SHA256", nil)
local digest_ctx = ffi_gc(C.EVP_MD_CTX_new(), C.EVP_MD_CTX_free)
local digest = ffi.new("unsigned char[32]")

--- SHA-256 of `length` bytes at `data` (a string or a pointer) as 32 raw bytes.
function M.sha256(data, length)
  if C.EVP_DigestInit_ex(digest_ctx, SHA256, nil) ~= 1
    or C.EVP_DigestUpdate(digest_ctx, data, length) ~= 1
    or C.EVP_DigestFinal_ex(digest_ctx, digest, nil) ~= 1 then
    error("SHA-256 failed")
  end
  return ffi_string(digest, 32)
end

-- SubjectPublicKeyInfo of an uncompressed P-256 point, up to the point.
local P256_INFO = "\48\89\48\19\6\7\42\134\72\206\61\2\1\6\8\42\134\72\206\61\3\1\7\3\66\0\4"

--- A public key from its coordinates, 32 raw bytes each.
-- @return the key, or nil and why (OpenSSL refuses a point that is not on the curve)
function M.public_key(x, y)
  if #x ~= 32 or #y ~= 32 then
    return nil, "the coordinates of a P-256 key have 32 bytes"
  end
  local der = P256_INFO .. x .. y
  local position = ffi.new("const unsigned char *[1]", ffi.cast("const unsigned char *", der))
  local key = C.d2i_PUBKEY(nil, position, #der)
  if key == nil then
    C.ERR_clear_error()
    return nil, "not a point on P-256"
  end
  return ffi_gc(key, C.EVP_PKEY_free)
end

local function der_integer(raw)
  local start = 1
  while start < #raw and byte(raw, start) == 0 do
    start = start + 1
  end
  local number = sub(raw, start)
  if byte(number, 1) >= 128 then
    number = "\0" .. number
  end
  return "\2" .. char(#number) .. number
end

local ZERO = rep("\0", 32)

--- Verifies a JOSE signature: r and s, 32 bytes each, never DER.
-- @return true, or false
function M.verify(key, message, signature)
  if #signature ~= 64 then
    return false
  end
  local r, s = sub(signature, 1, 32), sub(signature, 33)
  if r == ZERO or s == ZERO then
    return false
  end
  local numbers = der_integer(r) .. der_integer(s)
  local der = "\48" .. char(#numbers) .. numbers
  local ctx = ffi_gc(C.EVP_MD_CTX_new(), C.EVP_MD_CTX_free)
  local fine = C.EVP_DigestVerifyInit(ctx, nil, C.EVP_sha256(), nil, key) == 1
    and C.EVP_DigestVerify(ctx, der, #der, message, #message) == 1
  if not fine then
    C.ERR_clear_error()
  end
  return fine
end

return M
