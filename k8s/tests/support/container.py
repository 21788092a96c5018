"""What a container finds: its variables with real values, and the files that its volumes bring."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from tests.support.helm import Rendered

#: What a team writes into its Secrets.
SECRETS = {
    "SECRET_KEY": "x" * 64,
    "DATABASE_URL": "postgresql://svc:secret@postgres:5432/svc",
    "REDIS_URL": "redis://svc:secret@redis:6379/0",
    "EVENTS_BROKER_URL": "amqp://svc:secret@rabbitmq:5672/events",
    "JOBS_BROKER_URL": "amqp://svc:secret@rabbitmq:5672/jobs-svc",
    "SMTP_URL": "submission://shop:secret@mail:587",
    "DEMO_PASSWORD": "secret",
    "SANDBOX_API_KEY": "secret",
    "SANDBOX_WEBHOOK_SECRET": "secret",
    "STRIPE_SECRET_KEY": "secret",
    "STRIPE_WEBHOOK_SECRET": "secret",
    "AWS_ACCESS_KEY_ID": "id",
    "AWS_SECRET_ACCESS_KEY": "secret",
}


def environment(rendered: Rendered, name: str, root: Path) -> dict[str, str]:
    """The environment of the container of `name`, with secrets filled in and mounted files made below `root`.

    Fails for a path below a mount that no volume brings.
    """
    files = _mounted(rendered.pods[name], root)
    env: dict[str, str] = {}
    for variable, value in rendered.environment(name).items():
        if not isinstance(value, str):
            env[variable] = SECRETS[variable]
        elif value.startswith("/run/"):
            assert value in files, f"{variable} is {value}, which nothing brings"
            env[variable] = f"{root}{value}"
        else:
            env[variable] = value
    return env


def _mounted(pod: dict[str, Any], root: Path) -> set[str]:
    """Paths in the container of all that is mounted from Secrets and ConfigMaps; the same below `root` are real."""
    (container,) = pod["containers"]
    volumes = {volume["name"]: volume for volume in pod["volumes"]}
    paths: set[str] = set()
    for mount in container["volumeMounts"]:
        volume, where = volumes.pop(mount["name"]), mount["mountPath"]
        if "projected" in volume:
            for source in volume["projected"]["sources"]:
                for item in source["secret"]["items"]:
                    paths.add(f"{where}/{item['path']}")
                    _write(root / f"{where}/{item['path']}".lstrip("/"))
        elif "configMap" in volume:
            paths.add(where)
            _write(root / where.lstrip("/") / "svc-orders.pem", public=True)
    assert not volumes, f"mounted nowhere: {sorted(volumes)}"
    return paths


def _write(path: Path, public: bool = False) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    path.parent.mkdir(parents=True, exist_ok=True)
    if public:
        path.write_bytes(
            key.public_key().public_bytes(
                serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
            )
        )
    else:
        path.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
