"""The gateway: its configuration, rendered by the gateway's own script, and Nginx."""

import filecmp
import os
import shutil
from pathlib import Path

from shop import tools
from shop.envfile import prefix
from shop.layout import Layout
from shop.program import Program


def present(layout: Layout) -> bool:
    return (layout.root / "gateway" / "bin" / "render").exists()


def folder(layout: Layout) -> Path:
    return layout.run / "gateway"


def environment(layout: Layout, env: dict[str, str], services: list[str]) -> dict[str, str]:
    """What the gateway's `bin/render` reads."""
    return {
        "ENVIRONMENT": "dev",
        "GATEWAY_PORT": env["GATEWAY_PORT"],
        "PUBLIC_BASE_URL": f"http://localhost:{env['GATEWAY_PORT']}",
        "STOREFRONT_URL": env["STOREFRONT_URL"],
        "REDIS_URL": f"redis://gateway:{env['GATEWAY_REDIS_PASSWORD']}@127.0.0.1:{env['REDIS_PORT']}/0",
        "MEDIA_ROOT": str(layout.media),
        "MAIL_URL": f"http://127.0.0.1:{env['MAIL_WEB_PORT']}",
        "SANDBOX_URL": f"http://127.0.0.1:{env['SANDBOX_PORT']}",
        **{
            f"{prefix(service)}_URL": f"http://127.0.0.1:{env[f'{prefix(service)}_PORT']}"
            for service in services
        },
    }


def configure(layout: Layout, env: dict[str, str], services: list[str]) -> bool:
    """Render into the run folder; returns True if something differs from what was there."""
    target, fresh = folder(layout), folder(layout).with_name("gateway.new")
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir(mode=0o700)
    tools.run(
        [str(layout.root / "gateway" / "bin" / "render"), str(fresh)],
        doing="Rendering the gateway's configuration",
        env={
            **environment(layout, env, services),
            "PATH": f"{layout.python.parent}:{os.environ.get('PATH', '')}",
        },
    )
    if target.exists() and _same(target, fresh):
        shutil.rmtree(fresh)
        return False
    for path in fresh.rglob("*"):
        if path.is_file():
            destination = target / path.relative_to(fresh)
            destination.parent.mkdir(parents=True, exist_ok=True)
            path.replace(destination)
    shutil.rmtree(fresh)
    return True


def _same(target: Path, fresh: Path) -> bool:
    names = [str(path.relative_to(fresh)) for path in fresh.rglob("*") if path.is_file()]
    return not any(filecmp.cmpfiles(target, fresh, names, shallow=False)[1:])


def program(layout: Layout, env: dict[str, str]) -> Program:
    target = folder(layout)
    return Program(
        name="gateway",
        phase="edge",
        cwd=target,
        listens=(int(env["GATEWAY_PORT"]),),
        death_signal="TERM",
        stop_signal="QUIT",
        argv=[
            tools.find("nginx"),
            "-e",
            "stderr",
            "-p",
            f"{target}/",
            "-c",
            f"{target}/nginx.conf",
            "-g",
            "daemon off;",
        ],
    )
