"""What the containers read from this machine: secrets, public keys and settings of single services, written from `.env` and the
key pairs that host processes use too.

Everything lies below `docker/` of the state folder, which only its owner may enter. The files inside are readable by anybody,
because each is given to a container whose user has another number than the owner.
"""

import hashlib
import json
import shutil
from pathlib import Path

from shop import postgres, rabbitmq, redis
from shop.envfile import accepted, for_gateway, prefix
from shop.keys import JWT_KEY, ensure_keys, private_key, public_keys, published_keys
from shop.layout import Layout
from shop.postgres import AUDITOR, AUDITOR_PASSWORD


def folder(layout: Layout) -> Path:
    return layout.state / "docker"


def secrets(layout: Layout, env: dict[str, str], services: list[str]) -> dict[str, str]:
    """The content of every secret of docker-compose.yml, by its name there."""
    found = {
        "postgres-password": env["POSTGRES_PASSWORD"],
        "redis.acl": redis.access_list(env, services),
        "rabbitmq-definitions.json": json.dumps(rabbitmq.definitions(env, services, testing=False), indent=1),
        "gateway-redis-password": env["GATEWAY_REDIS_PASSWORD"],
        "jwt-signing-key": private_key(layout, JWT_KEY).read_text(),
        "demo-password": env["DEMO_PASSWORD"],
        "auditor-password": env[AUDITOR_PASSWORD],
        "sandbox-api-key": env["SANDBOX_API_KEY"],
        "sandbox-webhook-secret": env["SANDBOX_WEBHOOK_SECRET"],
        # All that counts while one is replaced: the provider takes each, and signs with each.
        "sandbox-api-keys": "\n".join(accepted(env, "SANDBOX_API_KEY")),
        "sandbox-webhook-secrets": "\n".join(accepted(env, "SANDBOX_WEBHOOK_SECRET")),
        "accounts-secret-key-fallbacks": ",".join(accepted(env, "SVC_ACCOUNTS_SECRET_KEY")[1:]),
    }
    for service in services:
        name, role = service.removeprefix("svc-"), postgres.role_of(service)
        password = {
            kind: env[f"{prefix(service)}_{kind}_PASSWORD"] for kind in ("DATABASE", "REDIS", "RABBITMQ")
        }
        login = postgres.login_of(service, env)
        broker = f"amqp://{rabbitmq.login_of(service, env)}:{password['RABBITMQ']}@rabbitmq:5672"
        found |= {
            f"{name}-secret-key": env[f"{prefix(service)}_SECRET_KEY"],
            f"{name}-database-password": password["DATABASE"],
            f"{name}-database-url": f"postgresql://{login}:{password['DATABASE']}@postgres-{name}:5432/{role}",
            f"{name}-audit-url": f"postgresql://{AUDITOR}:{env[AUDITOR_PASSWORD]}@postgres-{name}:5432/{role}",
            f"{name}-redis-url": f"redis://{service}:{password['REDIS']}@redis:6379/0",
            f"{name}-events-broker-url": f"{broker}/{rabbitmq.EVENTS}",
            f"{name}-jobs-broker-url": f"{broker}/{rabbitmq.jobs_host(service)}",
            f"{name}-private-key": private_key(layout, service).read_text(),
        }
    return found


def settings(env: dict[str, str], services: list[str]) -> dict[str, str]:
    """The env files: settings that `.env` gives to one service (`SVC_ORDERS__NAME=value`), and the gateway's limits."""
    found = {}
    for service in services:
        marker = f"{prefix(service)}__"
        found[service] = {
            name.removeprefix(marker): value for name, value in env.items() if name.startswith(marker)
        }
    found["gateway"] = for_gateway(env)
    return {
        program: "".join(f"{name}={value}\n" for name, value in values.items())
        for program, values in found.items()
    }


def write(layout: Layout, env: dict[str, str], services: list[str]) -> str:
    """Write all of it; returns a digest that changes when a secret does."""
    ensure_keys(layout, services)
    target = folder(layout)
    target.mkdir(mode=0o700, exist_ok=True)
    target.chmod(0o700)
    found = secrets(layout, env, services)
    _fill(target / "secrets", found)
    _fill(target / "env", settings(env, services))
    public = _keys(public_keys(layout))
    _fill(target / "public", public)
    # Folders that containers look into: what is new in them needs no new container.
    _fill(target / "published", _keys(published_keys(layout)))
    return hashlib.sha256(json.dumps([found, public], sort_keys=True).encode()).hexdigest()[:16]


def _keys(source: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in source.glob("*.pem")}


def _fill(target: Path, contents: dict[str, str]) -> None:
    """Make the folder hold exactly these files. One that is as it should be stays: containers have it mounted."""
    target.mkdir(exist_ok=True)
    target.chmod(0o755)
    for path in target.iterdir():
        if path.name not in contents:
            # The engine makes a folder where a file that it was to mount was missing.
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink()
    for name, content in contents.items():
        path = target / name
        if path.is_dir():
            shutil.rmtree(path)
        if not path.exists() or path.read_text() != content:
            if path.exists():
                path.chmod(0o644)
            path.write_text(content)
        path.chmod(0o444 if target.name != "env" else 0o600)
