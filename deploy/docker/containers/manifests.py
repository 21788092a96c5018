"""What the running containers say of themselves, as files for `make release`. None of them has a port on this machine."""

from pathlib import Path

from containers.engine import Compose
from shop.problems import Problem

PATH = "/internal/v1/manifest"
_SERVICE = f"import sys, urllib.request as u; sys.stdout.buffer.write(u.urlopen('http://127.0.0.1:8000{PATH}', timeout=10).read())"
_GATEWAY = (
    'exec 3<>"/dev/tcp/127.0.0.1/${GATEWAY_ADMIN_PORT:-8081}"'
    f" && printf 'GET {PATH} HTTP/1.0\\r\\nHost: localhost\\r\\n\\r\\n' >&3 && cat <&3"
)


def collect(compose: Compose, services: list[str], folder: Path) -> None:
    """Write the manifest of each service and of the gateway to `folder`, a file each. Raises Problem."""
    for service in services:
        said = _ask(compose, f"{service}-web", "python", "-c", _SERVICE)
        (folder / f"{service}.json").write_text(said)
    head, _, body = _ask(compose, "gateway", "bash", "-c", _GATEWAY).replace("\r\n", "\n").partition("\n\n")
    if " 200 " not in head.partition("\n")[0]:
        raise Problem(f"The gateway does not tell what it passes on: {head.partition(chr(10))[0]}")
    (folder / "gateway.json").write_text(body)


def _ask(compose: Compose, container: str, *command: str) -> str:
    return compose.do("exec", "--no-TTY", container, *command, doing=f"Asking {container} what runs")
