"""The services: which there are, what each of their processes is given, and how each is prepared."""

from pathlib import Path

from shop import postgres, rabbitmq, redis, releases
from shop.envfile import accepted, prefix, write_private
from shop.keys import JWT_KEY, private_key, public_keys, published_keys
from shop.layout import Layout
from shop.program import Listen, Program, Wait

PROCESSES = ("web", "events", "worker")
#: What a service's database is filled with, as management commands; each can be run again without doubling anything.
SEEDS = {
    "svc-accounts": ["seed_demo_users"],
    "svc-catalog": ["generate_fake_products 50", "generate_product_images 5"],
    "svc-cart": ["seed_coupons"],
    "svc-orders": ["seed_shipping_methods"],
}


def discover(root: Path) -> list[str]:
    """The services of the tree: every `svc-*` folder with a `manage.py`."""
    return sorted(path.parent.name for path in root.glob("svc-*/manage.py"))


def base_url(env: dict[str, str]) -> str:
    """What a browser on this machine calls."""
    return f"http://localhost:{env['GATEWAY_PORT']}"


def collector_url(env: dict[str, str]) -> str:
    """Where spans go."""
    return f"http://127.0.0.1:{env['TRACES_PORT']}"


def environment(layout: Layout, env: dict[str, str], service: str, services: list[str]) -> dict[str, str]:
    """What every process of a service gets: the secrets of this service, and no other's."""
    mine = {
        "ENVIRONMENT": "dev",
        "SECRET_KEY": env[f"{prefix(service)}_SECRET_KEY"],
        "DATABASE_URL": postgres.url(service, env),
        "REDIS_URL": redis.url(service, env),
        "EVENTS_BROKER_URL": rabbitmq.url(service, env, rabbitmq.EVENTS),
        "JOBS_BROKER_URL": rabbitmq.url(service, env, rabbitmq.jobs_host(service)),
        "SERVICE_PRIVATE_KEY_FILE": str(private_key(layout, service)),
        "SERVICE_PUBLIC_KEYS_DIR": str(public_keys(layout)),
        "PUBLIC_BASE_URL": base_url(env),
        "STOREFRONT_URL": env["STOREFRONT_URL"],
        "SHOP_CURRENCY": env["SHOP_CURRENCY"],
        "LOG_LEVEL": env["LOG_LEVEL"],
        "OTEL_EXPORTER_OTLP_ENDPOINT": collector_url(env),
        **{f"{prefix(other)}_URL": f"http://127.0.0.1:{env[f'{prefix(other)}_PORT']}" for other in services},
        **_own(layout, env, service),
        **runtime(layout),
    }
    marker = f"{prefix(service)}__"
    return {
        **mine,
        **{name.removeprefix(marker): value for name, value in env.items() if name.startswith(marker)},
    }


def runtime(layout: Layout) -> dict[str, str]:
    """How Python runs in this tree: logs at once, compiled files out of the source folders."""
    return {"PYTHONUNBUFFERED": "1", "PYTHONPYCACHEPREFIX": str(layout.root / ".local" / "pycache")}


def _own(layout: Layout, env: dict[str, str], service: str) -> dict[str, str]:
    match service:
        case "svc-accounts":
            # Alone it signs what outlives its processes.
            others = ",".join(accepted(env, "SVC_ACCOUNTS_SECRET_KEY")[1:])
            published = published_keys(layout)
            return {
                "JWT_SIGNING_KEY_FILE": str(private_key(layout, JWT_KEY)),
                "DEMO_PASSWORD": env["DEMO_PASSWORD"],
                **({"SECRET_KEY_FALLBACKS": others} if others else {}),
                **({"JWT_PREVIOUS_PUBLIC_KEYS_DIR": str(published)} if any(published.glob("*.pem")) else {}),
            }
        case "svc-catalog":
            return {"MEDIA_ROOT": str(layout.media)}
        case "svc-notifications":
            return {"SMTP_URL": f"smtp://127.0.0.1:{env['MAIL_SMTP_PORT']}", "EMAIL_FROM": env["EMAIL_FROM"]}
        case "svc-payments":
            return {
                "SANDBOX_URL": f"http://127.0.0.1:{env['SANDBOX_PORT']}",
                "SANDBOX_API_KEY": env["SANDBOX_API_KEY"],
                "SANDBOX_WEBHOOK_SECRET": env["SANDBOX_WEBHOOK_SECRET"],
            }
    return {}


def programs(
    layout: Layout, env: dict[str, str], service: str, services: list[str], home: releases.Home | None = None
) -> list[Program]:
    """web, events and worker of one service, of the release that runs or of the one in `home`."""
    home = home or releases.current(layout, service)
    common = {**environment(layout, env, service, services), **home.environment}
    ports = {
        "web": env[f"{prefix(service)}_PORT"],
        "events": env[f"{prefix(service)}_EVENTS_PORT"],
        "worker": env[f"{prefix(service)}_WORKER_PORT"],
    }
    stores = (Wait("postgres", int(env["POSTGRES_PORT"])), Wait("redis", int(env["REDIS_PORT"])))
    broker = Wait("amqp", int(env["RABBITMQ_PORT"]))
    # What is no number is the program's to complain about.
    workers = found if (found := common.get("WEB_WORKERS", "1")).isdigit() else "1"
    extra = {
        "web": {"PORT": ports["web"]},
        "events": {"EVENTS_HEALTH_PORT": ports["events"]},
        "worker": {"WORKER_HEALTH_PORT": ports["worker"], "EMBEDDED_BEAT": "true"},
    }
    return [
        Program(
            name=f"{service}-{process}",
            phase="services",
            cwd=home.folder,
            argv=[str(home.python), "-m", "shared_lib.server", process],
            env={
                **common,
                "HOST": "127.0.0.1",
                "DATABASE_APPLICATION_NAME": f"{service}-{process}",
                **extra[process],
            },
            waits=stores if process == "web" else (*stores, broker),
            listens=(int(ports[process]),),
            listen=Listen(int(ports["web"]), workers=int(workers)) if process == "web" else None,
        )
        for process in PROCESSES
    ]


#: Secrets that programs read from a file, and again when it has changed.
READ_AGAIN = ("SANDBOX_API_KEY", "SANDBOX_WEBHOOK_SECRET", "GATEWAY_REDIS_PASSWORD")


def write_secrets(layout: Layout, env: dict[str, str]) -> None:
    """A file for each of READ_AGAIN, with all that is accepted, the one in use first; the gateway takes the first line."""
    folder = layout.run / "secrets"
    folder.mkdir(mode=0o700, exist_ok=True)
    for name in READ_AGAIN:
        text = "\n".join(accepted(env, name)) + "\n"
        if not (folder / name).exists() or (folder / name).read_text() != text:
            write_private(folder / name, text)


def secret_files(layout: Layout, *names: str) -> dict[str, str]:
    """NAME_FILE for each name."""
    return {f"{name}_FILE": str(layout.run / "secrets" / name) for name in names}


def queues(services: list[str]) -> dict[str, list[str]]:
    """Which queues somebody must read from once everything is ready, by virtual host."""
    from shared_lib.contracts.subscriptions import SUBSCRIPTIONS

    events = [f"{service}.events" for service in services if SUBSCRIPTIONS.get(service)]
    return {
        rabbitmq.EVENTS: events,
        **{rabbitmq.jobs_host(service): [f"{service}.jobs"] for service in services},
    }


def sandbox(layout: Layout, env: dict[str, str]) -> Program:
    """The payment provider of dev: a service of its own over HTTP, which knows nothing of the shop but a webhook's address."""
    return Program(
        name="sandbox",
        phase="services",
        cwd=layout.root / "svc-payments",
        argv=[str(layout.python), "-m", "sandbox"],
        listens=(int(env["SANDBOX_PORT"]),),
        env={
            "ENVIRONMENT": "dev",
            "HOST": "127.0.0.1",
            "PORT": env["SANDBOX_PORT"],
            "SANDBOX_DATABASE": str(layout.data / "sandbox.sqlite3"),
            **secret_files(layout, "SANDBOX_API_KEY", "SANDBOX_WEBHOOK_SECRET"),
            "SANDBOX_WEBHOOK_URL": f"http://127.0.0.1:{env['GATEWAY_PORT']}/api/v1/payments/webhooks/sandbox",
            "SANDBOX_PUBLIC_URL": f"{base_url(env)}/dev/payments",
            "LOG_LEVEL": env["LOG_LEVEL"],
            **runtime(layout),
        },
    )


def mail(layout: Layout, env: dict[str, str]) -> Program:
    """The mail catcher of dev."""
    return Program(
        name="mail",
        phase="stores",
        cwd=layout.root / "deploy",
        argv=[str(layout.python), "-m", "mail"],
        listens=(int(env["MAIL_SMTP_PORT"]), int(env["MAIL_WEB_PORT"])),
        env={
            "MAIL_HOST": "127.0.0.1",
            "MAIL_SMTP_PORT": env["MAIL_SMTP_PORT"],
            "MAIL_WEB_PORT": env["MAIL_WEB_PORT"],
            "MAIL_FOLDER": str(layout.data / "mail"),
            **runtime(layout),
        },
    )


def traces(layout: Layout, env: dict[str, str]) -> Program:
    """The collector of traces of dev."""
    return Program(
        name="traces",
        phase="stores",
        cwd=layout.root / "deploy",
        argv=[str(layout.python), "-m", "traces"],
        listens=(int(env["TRACES_PORT"]),),
        env={
            "TRACES_HOST": "127.0.0.1",
            "TRACES_PORT": env["TRACES_PORT"],
            "TRACES_FILE": str(layout.data / "traces" / "traces.sqlite3"),
            **runtime(layout),
        },
    )
