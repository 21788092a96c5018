"""The gateway: its configuration, rendered by the gateway's own script, and Nginx."""

import hashlib
from pathlib import Path

from shop import pages, tools
from shop.envfile import for_gateway, prefix
from shop.layout import Layout
from shop.program import Program
from shop.services import collector_url

WORKERS = 2


def present(layout: Layout) -> bool:
    return (layout.root / "gateway" / "bin" / "render").exists()


def folder(layout: Layout) -> Path:
    return layout.run / "gateway"


def environment(layout: Layout, env: dict[str, str], services: list[str]) -> dict[str, str]:
    """What the gateway's `bin/render` reads (see gateway/README.md)."""
    return {
        "ENVIRONMENT": "dev",
        "OUTPUT_DIR": str(folder(layout)),
        "GATEWAY_HOST": env["GATEWAY_HOST"],
        "GATEWAY_PORT": env["GATEWAY_PORT"],
        "GATEWAY_ADMIN_PORT": env["GATEWAY_ADMIN_PORT"],
        "GATEWAY_WORKERS": str(WORKERS),
        "LOG_LEVEL": env["LOG_LEVEL"],
        "PUBLIC_BASE_URL": f"http://localhost:{env['GATEWAY_PORT']}",
        "STOREFRONT_URL": env["STOREFRONT_URL"],
        "REDIS_HOST": "127.0.0.1",
        "REDIS_PORT": env["REDIS_PORT"],
        "REDIS_USER": "gateway",
        "MEDIA_ROOT": str(layout.media),
        "DOCS_ROOT": str(pages.folder(layout)),
        "OTEL_EXPORTER_OTLP_ENDPOINT": collector_url(env),
        "TRACE_RATIO": env["TRACE_RATIO"],
        "MAIL_WEB_URL": f"http://127.0.0.1:{env['MAIL_WEB_PORT']}",
        "SANDBOX_URL": f"http://127.0.0.1:{env['SANDBOX_PORT']}",
        **{
            f"{prefix(service)}_URL": f"http://127.0.0.1:{env[f'{prefix(service)}_PORT']}"
            for service in services
        },
        **for_gateway(env),
    }


def configure(layout: Layout, env: dict[str, str], services: list[str]) -> bool:
    """Render into the run folder; returns True if Nginx would read something else than before."""
    target = folder(layout)
    target.mkdir(mode=0o711, exist_ok=True)
    pages.assemble(layout)
    tools.run(
        [str(layout.root / "gateway" / "bin" / "render")],
        doing="Rendering the gateway's configuration",
        env=environment(layout, env, services),
    )
    digest = hashlib.sha256()
    source = layout.root / "gateway"
    read = [*source.rglob("*.lua"), *source.rglob("*.conf")]
    for path in (target / "nginx.conf", target / "settings.lua", *sorted(read)):
        digest.update(path.read_bytes())
    stamp = layout.stamps / "gateway"
    changed = not stamp.exists() or stamp.read_text() != digest.hexdigest()
    stamp.write_text(digest.hexdigest())
    return changed


def program(layout: Layout, env: dict[str, str]) -> Program:
    target = folder(layout)
    return Program(
        name="gateway",
        phase="edge",
        cwd=target,
        argv=[tools.find("nginx"), "-e", "stderr", "-p", f"{target}/", "-c", f"{target}/nginx.conf"],
        env={"REDIS_PASSWORD_FILE": str(layout.run / "secrets" / "GATEWAY_REDIS_PASSWORD")},
        listens=(int(env["GATEWAY_PORT"]), int(env["GATEWAY_ADMIN_PORT"])),
        death_signal="TERM",
    )
