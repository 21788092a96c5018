"""The environment of a test process."""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from functools import cache
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from shared_lib.contracts.events.base import SERVICES

_DEFAULTS = {
    "ENVIRONMENT": "test",
    "SECRET_KEY": "only-for-tests-" + "0" * 50,
    "LOG_LEVEL": "WARNING",
    "PUBLIC_BASE_URL": "http://shop.test",
    "STOREFRONT_URL": "http://storefront.test",
    "REDIS_URL": "redis://127.0.0.1:6379/0",
    "EVENTS_BROKER_URL": "amqp://guest:guest@127.0.0.1:5672/events",
    "JOBS_BROKER_URL": "amqp://guest:guest@127.0.0.1:5672/jobs",
    "EMBEDDED_BEAT": "false",
    **{f"{service.upper().replace('-', '_')}_URL": f"http://{service}.test" for service in SERVICES},
}


@cache
def keys_dir() -> Path:
    """A folder of this process with a key pair for every service and one for access tokens."""
    folder = Path(tempfile.mkdtemp(prefix="shop-test-keys-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    (folder / "public").mkdir()
    for name in (*SERVICES, "jwt"):
        private = ec.generate_private_key(ec.SECP256R1())
        (folder / f"{name}.pem").write_bytes(
            private.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
        (folder / "public" / f"{name}.pem").write_bytes(
            private.public_key().public_bytes(
                serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
            )
        )
    return folder


def prepare() -> None:
    """Sets what is missing. The service under test is the folder's name, which settings check again."""
    for name, value in _DEFAULTS.items():
        os.environ.setdefault(name, value)
    os.environ["ENVIRONMENT"] = "test"
    service = Path.cwd().name if Path.cwd().name in SERVICES else "svc-orders"
    os.environ["SERVICE_PRIVATE_KEY_FILE"] = str(keys_dir() / f"{service}.pem")
    os.environ["SERVICE_PUBLIC_KEYS_DIR"] = str(keys_dir() / "public")
    os.environ["JWT_SIGNING_KEY_FILE"] = str(keys_dir() / "jwt.pem")
