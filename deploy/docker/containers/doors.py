"""Doors from this machine into the containers, for tests that look behind the gateway and for the runner when it replaces secrets:
nothing but the gateway publishes a port.

Each door listens on a loopback port and passes bytes to a container's own address, which the machine that runs the engine reaches
on internal networks too. They are gone when the tests or the command are.
"""

import asyncio
import contextlib
import threading
from collections.abc import Iterator
from pathlib import Path

from containers import files
from containers.engine import Compose
from shop import services
from shop.envfile import prefix, write_private
from shop.layout import Layout

Target = tuple[str, int]


def targets(found: list[str]) -> dict[str, Target]:
    """By the name that a test looks for in its env file: container and port."""
    inside = {
        "REDIS_PORT": ("redis", 6379),
        "RABBITMQ_PORT": ("rabbitmq", 5672),
        "TRACES_PORT": ("traces", 4318),
    }
    for service in found:
        name = service.removeprefix("svc-")
        inside[f"{prefix(service)}_PORT"] = (f"address-{name}", 8000)
        inside[f"{prefix(service)}_POSTGRES_PORT"] = (f"postgres-{name}", 5432)
    return inside


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while chunk := await reader.read(65536):
            writer.write(chunk)
            await writer.drain()
    with contextlib.suppress(OSError):
        writer.close()


async def _open(compose: Compose, target: Target) -> tuple[asyncio.Server, int]:
    container, port = target
    address = compose.addresses(container)[0]

    async def arrive(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            inner_reader, inner_writer = await asyncio.open_connection(address, port)
        except OSError:
            writer.close()
            return
        await asyncio.gather(_pass_on(reader, inner_writer), _pass_on(inner_reader, writer))

    server = await asyncio.start_server(arrive, "127.0.0.1", 0)
    return server, int(server.sockets[0].getsockname()[1])


@contextlib.contextmanager
def ports(layout: Layout, compose: Compose) -> Iterator[dict[str, str]]:
    """Open all doors; yields the name of each in an env file and its port on this machine."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()

    async def open_all() -> dict[str, tuple[asyncio.Server, int]]:
        inside = targets(services.discover(layout.root))
        return {name: await _open(compose, target) for name, target in inside.items()}

    try:
        doors = asyncio.run_coroutine_threadsafe(open_all(), loop).result(60)
        yield {name: str(port) for name, (_, port) in doors.items()}
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(5)


@contextlib.contextmanager
def opened(layout: Layout, env: dict[str, str], compose: Compose) -> Iterator[Path]:
    """Open all doors; yields an env file with their ports instead of those of host processes."""
    path = files.folder(layout) / "doors.env"
    values = {name: value for name, value in env.items() if not name.endswith("_PORT")}
    with ports(layout, compose) as found:
        values |= {"GATEWAY_PORT": env["GATEWAY_PORT"], **found}
        write_private(path, "".join(f"{name}={value}\n" for name, value in values.items()))
        try:
            yield path
        finally:
            path.unlink(missing_ok=True)
