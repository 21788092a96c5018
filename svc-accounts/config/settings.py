"""Settings of svc-accounts: the shared ones and what this domain needs."""

from pathlib import Path

from environs import validate

from shared_lib.settings import env, service_settings

_AT_LEAST_A_MINUTE = validate.Range(min=60)

globals().update(
    {
        # Tests bring a cheap hasher of their own.
        "PASSWORD_HASHERS": ["django.contrib.auth.hashers.Argon2PasswordHasher"],
        **service_settings("svc-accounts", apps=["accounts"]),
    }
)

AUTH_USER_MODEL = "accounts.User"
AUTH_PASSWORD_VALIDATORS = [
    {
        "NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator",
        "OPTIONS": {"user_attributes": ["email", "name"]},
    },
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 8}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {"NAME": "django.contrib.auth.password_validation.NumericPasswordValidator"},
]

JWT_SIGNING_KEY_FILE = env.file(
    "JWT_SIGNING_KEY_FILE",
    secret=True,
    help="P-256 key in PEM that signs access tokens; its `kid` is the RFC 7638 thumbprint",
)
JWT_PREVIOUS_PUBLIC_KEYS_DIR = env.file(
    "JWT_PREVIOUS_PUBLIC_KEYS_DIR",
    None,
    check=Path.is_dir,
    help="`*.pem` public keys that are published too: the next before it signs, the last until its tokens have expired",
)
ACCESS_TOKEN_SECONDS = env.int(
    "ACCESS_TOKEN_SECONDS", 600, validate=_AT_LEAST_A_MINUTE, help="life of an access token"
)
SESSION_SECONDS = env.int(
    "SESSION_SECONDS",
    30 * 86400,
    validate=_AT_LEAST_A_MINUTE,
    help="life of a session after its last refresh",
)
REFRESH_GRACE_SECONDS = env.int(
    "REFRESH_GRACE_SECONDS",
    10,
    validate=validate.Range(min=0, max=60),
    help="for how long a spent refresh token gives its successor again",
)
VERIFY_LINK_SECONDS = env.int(
    "VERIFY_LINK_SECONDS",
    3 * 86400,
    validate=_AT_LEAST_A_MINUTE,
    help="life of the link in a mail that verifies an address",
)
RESET_LINK_SECONDS = env.int(
    "RESET_LINK_SECONDS",
    3600,
    validate=_AT_LEAST_A_MINUTE,
    help="life of the link in a mail that resets a password",
)
DEMO_PASSWORD = env.str(
    "DEMO_PASSWORD", "", secret=True, help="what the seed gives the demo logins; nothing else reads it"
)

ACCESS_TOKEN_KEYS = "accounts.keys.key_set"  # this service does not ask itself by HTTP
SIMPLE_JWT = {"ALGORITHM": "ES256", "USER_ID_CLAIM": "sub"}
