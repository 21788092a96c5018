-- ECDSA P-256 and RSA, both with SHA-256, and SHA-256 itself, by OpenSSL's EVP interface. Nginx is linked with libcrypto, so its
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

local function key_of(der)
  local position = ffi.new("const unsigned char *[1]", ffi.cast("const unsigned char *", der))
  local key = C.d2i_PUBKEY(nil, position, #der)
  if key == nil then
    C.ERR_clear_error()
    return nil
  end
  return ffi_gc(key, C.EVP_PKEY_free)
end

--- A public key from its coordinates, 32 raw bytes each.
-- @return the key, or nil and why (OpenSSL refuses a point that is not on the curve)
function M.ec_key(x, y)
  if #x ~= 32 or #y ~= 32 then
    return nil, "the coordinates of a P-256 key have 32 bytes"
  end
  local key = key_of(P256_INFO .. x .. y)
  if not key then
    return nil, "not a point on P-256"
  end
  return key
end

local function der_length(length)
  if length < 128 then
    return char(length)
  elseif length < 256 then
    return "\129" .. char(length)
  end
  return "\130" .. char(bit.rshift(length, 8), bit.band(length, 255))
end

local function der_of(tag, content)
  return tag .. der_length(#content) .. content
end

local RSA_ALGORITHM = "\48\13\6\9\42\134\72\134\247\13\1\1\1\5\0"

--- An RSA public key from its modulus and exponent, raw and big-endian.
-- @return the key, or nil and why
function M.rsa_key(modulus, exponent)
  modulus, exponent = modulus:gsub("^%z+", ""), exponent:gsub("^%z+", "")
  local size = #modulus * 8
  if size < 2048 or size > 4096 then
    return nil, "an RSA key must have 2048 to 4096 bits"
  elseif #exponent == 0 or #exponent > 4 or byte(exponent, -1) % 2 == 0 or exponent == "\1" then
    return nil, "the exponent of an RSA key must be odd, above 1 and at most 32 bits long"
  end
  local numbers = M.der_integer(modulus) .. M.der_integer(exponent)
  local der = der_of("\48", RSA_ALGORITHM .. der_of("\3", "\0" .. der_of("\48", numbers)))
  local key = key_of(der)
  if not key then
    return nil, "not an RSA key"
  end
  return key, #modulus
end

--- The DER form of an unsigned big-endian number.
function M.der_integer(raw)
  local start = 1
  while start < #raw and byte(raw, start) == 0 do
    start = start + 1
  end
  local number = sub(raw, start)
  if byte(number, 1) >= 128 then
    number = "\0" .. number
  end
  return der_of("\2", number)
end

local ZERO = rep("\0", 32)

local function verify(key, message, signature)
  local ctx = ffi_gc(C.EVP_MD_CTX_new(), C.EVP_MD_CTX_free)
  local fine = C.EVP_DigestVerifyInit(ctx, nil, C.EVP_sha256(), nil, key) == 1
    and C.EVP_DigestVerify(ctx, signature, #signature, message, #message) == 1
  if not fine then
    C.ERR_clear_error()
  end
  C.EVP_MD_CTX_free(ffi_gc(ctx, nil))    -- at once: the garbage collector does not know how large it is
  return fine
end

--- Verifies RS256 (PKCS #1 v1.5).
-- @param size  bytes of the key's modulus: a signature has exactly as many
function M.verify_rsa(key, message, signature, size)
  return #signature == size and verify(key, message, signature)
end

--- Verifies ES256: r and s, 32 bytes each, never DER.
-- @return true, or false
function M.verify_ec(key, message, signature)
  if #signature ~= 64 then
    return false
  end
  local r, s = sub(signature, 1, 32), sub(signature, 33)
  if r == ZERO or s == ZERO then
    return false
  end
  local der = der_of("\48", M.der_integer(r) .. M.der_integer(s))
  return verify(key, message, der)
end

return M
