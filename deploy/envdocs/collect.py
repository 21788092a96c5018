"""What one service reads, as the service itself tells it: `python -m envdocs.collect`, in the service's folder.

Prints JSON: a list of `shared_lib.settings.environment.Setting`. Its settings are loaded in each of the ways that change what
is read, with values that only have the right form: NAME of a URL is `http://NAME`, so that a default made of another
variable names that variable.
"""

import dataclasses
import json
import os
import sys
import tempfile
from importlib import import_module
from pathlib import Path

#: Of a service that reads more under some condition: the values that meet it.
VARIANTS = {
    "svc-catalog": [{"MEDIA_STORAGE": "filesystem"}, {"MEDIA_STORAGE": "s3"}],
    "svc-payments": [{"PAYMENT_PROVIDERS": "sandbox,stripe"}],
}


def harmless(folder: Path) -> dict[str, str]:
    """A value of the right form for each variable that has no default."""
    from shared_lib.contracts.events.base import SERVICES

    services = {f"{service.upper().replace('-', '_')}_URL" for service in SERVICES}
    urls = {*services, "PUBLIC_BASE_URL", "STOREFRONT_URL", "MEDIA_URL", "SANDBOX_URL"}
    secrets = (
        *("SECRET_KEY", "SANDBOX_API_KEY", "SANDBOX_WEBHOOK_SECRET"),
        *("STRIPE_SECRET_KEY", "STRIPE_WEBHOOK_SECRET"),
    )
    return {
        **{name: f"http://{name}" for name in urls},
        **dict.fromkeys(secrets, "secret"),
        "REDIS_URL": "redis://host:6379/0",
        "EVENTS_BROKER_URL": "amqp://host:5672/events",
        "JOBS_BROKER_URL": "amqp://host:5672/jobs",
        "DATABASE_URL": "postgresql://role@host/database",
        "SMTP_URL": "smtp://host:25",
        "EMAIL_FROM": "a@b.example",
        "MEDIA_ROOT": str(folder),
        "MEDIA_S3_BUCKET": "bucket",
        "SERVICE_PRIVATE_KEY_FILE": __file__,
        "SERVICE_PUBLIC_KEYS_DIR": str(folder),
        "JWT_SIGNING_KEY_FILE": __file__,
        "PORT": "8000",
    }


def main() -> None:
    sys.path.insert(0, str(Path.cwd()))
    given = dict(os.environ)
    with tempfile.TemporaryDirectory() as folder:
        for variant in VARIANTS.get(Path.cwd().name, [{}]):
            os.environ.clear()
            os.environ.update(given | harmless(Path(folder)) | variant)
            if variant.get("MEDIA_STORAGE") == "filesystem":
                del os.environ["MEDIA_URL"]
            sys.modules.pop("config.settings", None)
            import_module("config.settings")
        from shared_lib.events.health import health_port
        from shared_lib.server import __main__ as server
        from shared_lib.settings import env

        server._web()
        server._worker()
        health_port()
    print(json.dumps([dataclasses.asdict(setting) for setting in env.settings.values()]))


if __name__ == "__main__":
    main()
