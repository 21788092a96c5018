"""Settings of every service in every environment."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from marshmallow.validate import OneOf, Range, Regexp

from shared_lib.contracts.events.base import SERVICES
from shared_lib.settings.environment import env

_AMQP = Regexp("amqps?://.", error="an amqp:// or amqps:// URL")
_REDIS = Regexp("rediss?://.", error="a redis:// or rediss:// URL")
_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")


def settings(service: str, *, apps: list[str]) -> dict[str, Any]:
    """The shared settings of `service`. Raises `ImproperlyConfigured` for a missing or malformed variable."""
    if service not in SERVICES:
        raise ImproperlyConfigured(f"{service!r} is not one of the services {', '.join(SERVICES)}.")
    domain = apps[0]
    return {
        "SERVICE_NAME": service,
        "SERVICE_PACKAGE": domain,
        "SERVICE_VERSION": env.str(
            "SERVICE_VERSION", "dev", help="what the manifest and the logs call this version"
        ),
        "ENVIRONMENT": env.str("ENVIRONMENT", "dev"),
        "SECRET_KEY": env.secret("SECRET_KEY", help="Django's; at least 50 characters in prod"),
        "SECRET_KEY_FALLBACKS": env.list(
            "SECRET_KEY_FALLBACKS",
            [],
            secret=True,
            help="keys whose signatures still count: the next before it signs, the last until nothing of it is left",
        ),
        "DEBUG": False,
        "ALLOWED_HOSTS": env.list(
            "ALLOWED_HOSTS", ["*"], help="what `Host` may say; the gateway sends its own"
        ),
        "ROOT_URLCONF": "config.urls",
        "WSGI_APPLICATION": "config.wsgi.application",
        "APPEND_SLASH": False,
        "INSTALLED_APPS": [
            "django.contrib.contenttypes",
            "django.contrib.auth",
            "rest_framework",
            "drf_spectacular",
            "shared_lib.observability",
            "shared_lib.outbox",
            "shared_lib.inbox",
            "shared_lib.idempotency",
            *apps,
        ],
        "MIDDLEWARE": [
            "shared_lib.observability.middleware.RequestContextMiddleware",
            "shared_lib.api.caching.LanguageMiddleware",
            "django.middleware.common.CommonMiddleware",
        ],
        "TEMPLATES": [
            {"BACKEND": "django.template.backends.django.DjangoTemplates", "APP_DIRS": True, "OPTIONS": {}},
        ],
        "DATABASES": {"default": _database()},
        "DEFAULT_AUTO_FIELD": "django.db.models.BigAutoField",
        "USE_TZ": True,
        "TIME_ZONE": "UTC",
        "LANGUAGE_CODE": "en",
        "LANGUAGES": [("en", "English"), ("de", "Deutsch"), ("zh-hans", "简体中文")],
        "DATA_UPLOAD_MAX_MEMORY_SIZE": 1024 * 1024,
        "DATA_UPLOAD_MAX_NUMBER_FIELDS": 200,
        "SILENCED_SYSTEM_CHECKS": ["fields.W342"],
        "REST_FRAMEWORK": {
            "DEFAULT_AUTHENTICATION_CLASSES": ["shared_lib.auth.authentication.AccessTokenAuthentication"],
            "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
            "DEFAULT_RENDERER_CLASSES": ["shared_lib.api.renderers.JSONRenderer"],
            "DEFAULT_PARSER_CLASSES": ["shared_lib.api.parsers.JSONParser"],
            "DEFAULT_PAGINATION_CLASS": "shared_lib.api.pagination.CursorPagination",
            "DEFAULT_SCHEMA_CLASS": "shared_lib.api.openapi.ShopAutoSchema",
            "DEFAULT_CONTENT_NEGOTIATION_CLASS": "shared_lib.api.renderers.AlwaysJSON",
            "EXCEPTION_HANDLER": "shared_lib.api.problems.exception_handler",
            "UNAUTHENTICATED_USER": "shared_lib.auth.users.Guest",
            "UNAUTHENTICATED_TOKEN": None,
            "NON_FIELD_ERRORS_KEY": "",
            "TEST_REQUEST_DEFAULT_FORMAT": "json",
        },
        "SPECTACULAR_SETTINGS": {
            "TITLE": service,
            "VERSION": "1",
            "OAS_VERSION": "3.1.1",
            "COMPONENT_SPLIT_REQUEST": True,
            "SERVE_INCLUDE_SCHEMA": False,
            "SCHEMA_PATH_PREFIX": r"/api/v1",
            "AUTHENTICATION_WHITELIST": ["shared_lib.auth.authentication.AccessTokenAuthentication"],
            "PREPROCESSING_HOOKS": ["shared_lib.api.openapi.public_paths_only"],
            "ENUM_GENERATE_CHOICE_DESCRIPTION": False,
        },
        "LOGGING_CONFIG": "shared_lib.observability.logs.configure",
        "LOGGING": {
            "level": env.str("LOG_LEVEL", "INFO", validate=OneOf(_LEVELS), help="the least that is logged")
        },
        "OTEL_EXPORTER_OTLP_ENDPOINT": env.url(
            "OTEL_EXPORTER_OTLP_ENDPOINT",
            "",
            help="the collector where spans of sampled requests go (OTLP over HTTP, JSON); nowhere if empty",
        ),
        # Events and jobs
        "EVENT_HANDLERS": f"{domain}.event_handlers.EVENT_HANDLERS"
        if find_spec(f"{domain}.event_handlers")
        else "",
        "EVENTS_BROKER_URL": env.secret(
            "EVENTS_BROKER_URL", validate=_AMQP, help="RabbitMQ, the virtual host of events"
        ),
        "JOBS_BROKER_URL": env.secret(
            "JOBS_BROKER_URL", validate=_AMQP, help="RabbitMQ, the virtual host of this service's jobs"
        ),
        "DRAIN_SECONDS": env.float(
            "DRAIN_SECONDS",
            9.0,
            validate=Range(min=0),
            help="how long events and worker may finish what they began when they are told to stop",
        ),
        # The relay speaks every second; takeover is promised within 10.
        "RELAY_SILENCE_MS": env.int(
            "RELAY_SILENCE_MS",
            8000,
            validate=Range(min=2000, max=9000),
            only="events",
            help="a relay that is silent for so long loses its lock",
        ),
        "EMBEDDED_BEAT": env.bool(
            "EMBEDDED_BEAT",
            True,
            only="worker",
            help="whether the worker runs Celery's beat as a thread; false where a single beat runs elsewhere",
        ),
        "REDIS_URL": env.secret("REDIS_URL", validate=_REDIS, help="Redis, as the user of this service"),
        # Calls between services
        "SERVICE_URLS": {
            name: env.url(f"{name.upper().replace('-', '_')}_URL", help=f"where {name} answers inside")
            for name in SERVICES
        },
        "SERVICE_PRIVATE_KEY_FILE": env.file(
            "SERVICE_PRIVATE_KEY_FILE",
            secret=True,
            help="P-256 key in PEM that signs this service's calls to the others",
        ),
        "SERVICE_PUBLIC_KEYS_DIR": env.file(
            "SERVICE_PUBLIC_KEYS_DIR", check=Path.is_dir, help="the public keys of all services"
        ),
        "REQUEST_TIMEOUT_SECONDS": env.float(
            "REQUEST_TIMEOUT_SECONDS",
            10.0,
            validate=Range(min=0.1),
            help="what a request may take, calls to other services included",
        ),
        # Access tokens
        "JWT_ISSUER": env.str("JWT_ISSUER", "svc-accounts", help="`iss` of access tokens"),
        "JWT_AUDIENCE": env.str("JWT_AUDIENCE", "shop", help="`aud` of access tokens"),
        "JWKS_URL": env.url(
            "JWKS_URL",
            env.url("SVC_ACCOUNTS_URL") + "/.well-known/jwks.json",
            help="where the public keys of access tokens are",
        ),
        "FAILPOINTS_DIR": env.file(
            "FAILPOINTS_DIR",
            None,
            check=Path.is_dir,
            help="tests with faults only, refused in prod: a folder of files that arm failpoints",
        ),
        # Shop
        "SHOP_CURRENCY": env.str(
            "SHOP_CURRENCY",
            "USD",
            validate=Regexp("[A-Z]{3}$", error="an ISO 4217 code such as USD"),
            help="the currency of the shop",
        ),
        "PUBLIC_BASE_URL": env.url("PUBLIC_BASE_URL", help="the gateway as clients see it; https in prod"),
        "STOREFRONT_URL": env.url("STOREFRONT_URL", help="where links in mails lead; https in prod"),
    }


def _database() -> dict[str, Any]:
    """One PostgreSQL. DATABASE_POOL_MAX > 0 keeps a psycopg pool of that size in each process.

    The pool is opened lazily, after any fork. Statements are bound on the server and prepared after
    DATABASE_PREPARE_THRESHOLD uses; set it to -1 behind a transaction pooler.
    """
    config = env.database("DATABASE_URL", help="PostgreSQL, as the role of this service")
    pool_max: int = env.int(
        "DATABASE_POOL_MAX",
        0,
        validate=Range(min=0),
        help="connections of a process's pool, 0 for none; web and worker take as many as they have threads",
    )
    threshold: int = env.int(
        "DATABASE_PREPARE_THRESHOLD",
        5,
        validate=Range(min=-1),
        help="after so many uses a statement is prepared; -1 (never) behind a transaction pooler",
    )
    timeout: int = env.int(
        "DATABASE_STATEMENT_TIMEOUT_MS",
        15000,
        validate=Range(min=0),
        help="what a statement may take; 0: as long as it likes",
    )
    lock_timeout: int = env.int(
        "DATABASE_LOCK_TIMEOUT_MS",
        0,
        validate=Range(min=0),
        help="what a statement may wait for a lock; 0: as long as it may take",
    )
    options: dict[str, Any] = {
        **config.get("OPTIONS", {}),
        "application_name": env.str(
            "DATABASE_APPLICATION_NAME", "shop", help="how PostgreSQL lists this process's connections"
        ),
        "connect_timeout": 5,
        "server_side_binding": env.bool(
            "DATABASE_SERVER_SIDE_BINDING", True, help="whether the server puts parameters into statements"
        ),
        "prepare_threshold": threshold if threshold >= 0 else None,
        "options": (
            f"-c statement_timeout={timeout} -c lock_timeout={lock_timeout}"
            " -c idle_in_transaction_session_timeout=30000"
        ),
    }
    if pool_max > 0:
        options["pool"] = {"min_size": 1, "max_size": pool_max, "timeout": 5}
    config["OPTIONS"] = options
    max_age: int = env.int(
        "DATABASE_CONN_MAX_AGE",
        60,
        validate=Range(min=0),
        help="seconds that a connection without a pool is kept",
    )
    config["CONN_MAX_AGE"] = 0 if pool_max > 0 else max_age
    config["ENGINE"] = "shared_lib.postgresql"
    # Of connections without a pool. Those of a pool are looked at by the engine itself, in the same way.
    config["CONN_HEALTH_CHECKS"] = pool_max == 0
    return config
