"""Docker and Compose, called as programs."""

import hashlib
import json
import os
import subprocess
from pathlib import Path
from typing import Any

from shop import releases
from shop.envfile import prefix
from shop.layout import Layout
from shop.problems import Problem

#: Words of engines and builders that could not get an image from its registry.
NO_IMAGES = (
    "failed to resolve source metadata",
    "failed to do request",
    "pull access denied",
    "dial tcp",
    "lookup ",
    "tls: failed to verify",
    "x509:",
    "manifest unknown",
    "error response from daemon: get ",
    "failed to fetch anonymous token",
    "failed to authorize",
)


def project(layout: Layout) -> str:
    """Compose's name for this stack: another one for each folder, so that two clones run side by side."""
    return "shop-" + hashlib.sha256(str(layout.state).encode()).hexdigest()[:6]


class Compose:
    """`docker compose` with this stack's project, files and settings.

    `versions` has the tag of each service that runs a release, as `SVC_CART_VERSION`.
    """

    def __init__(self, layout: Layout, versions: dict[str, str]) -> None:
        self.layout = layout
        self._versions = versions
        self.project = project(layout)
        self._env = {
            **{
                name: value
                for name, value in os.environ.items()
                # Compose lets these win over .env, and the shell that calls make may hold anything.
                if not name.startswith(("GATEWAY_", "SVC_", "SHOP_")) and name != "SERVICE"
            },
            "SHOP_PROJECT": self.project,
            "SHOP_STATE_DIR": str(layout.state),
            "SHOP_VERSION": os.environ.get("SHOP_VERSION", "dev"),
            "SHOP_IMAGES": os.environ.get("SHOP_IMAGES", "shop"),
            "DOCKER_BUILDKIT": "1",
            **versions,
        }
        self._command = [
            *(
                "docker",
                "compose",
                "--project-directory",
                str(layout.root),
                "--env-file",
                str(layout.env_file),
            ),
            *("--file", str(layout.root / "docker-compose.yml"), "--profile", "dev"),
        ]

    def having(self, service: str, version: str) -> "Compose":
        """The same with another release of that service, or with what the checkout holds."""
        name = f"{prefix(service)}_VERSION"
        others = {each: found for each, found in self._versions.items() if each != name}
        return Compose(self.layout, others if version == releases.DEV else {**others, name: version})

    def released(self, service: str) -> bool:
        """Whether the service runs a release, and not what the checkout holds."""
        return f"{prefix(service)}_VERSION" in self._versions

    def image(self, service: str, version: str) -> str:
        """The tag of a release's image."""
        return f"{self._env['SHOP_IMAGES']}/{service}:{version}"

    def run(self, *arguments: str, quiet: bool = False) -> int:
        """Run with the terminal's own input and output; returns the exit code."""
        output = subprocess.DEVNULL if quiet else None
        return subprocess.run(
            [*self._command, *arguments],
            cwd=self.layout.root,
            env=self._env,
            stdout=output,
            stderr=output,
            check=False,
        ).returncode

    def read(self, *arguments: str) -> tuple[int, str]:
        """Run with the terminal's own errors; returns exit code and output."""
        done = subprocess.run(
            [*self._command, *arguments],
            cwd=self.layout.root,
            env=self._env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            text=True,
            check=False,
        )
        return done.returncode, done.stdout

    def do(self, *arguments: str, doing: str, log: Path | None = None) -> str:
        """Run to the end and return what it printed; raises Problem with its last words when it fails."""
        done = subprocess.run(
            [*self._command, *arguments],
            cwd=self.layout.root,
            env=self._env,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        if log:
            log.write_text(done.stdout + done.stderr)
        if done.returncode:
            raise Problem(explain(doing, done.stdout + done.stderr, log))
        return done.stdout

    def pipe(
        self, *arguments: str, doing: str, source: Path | None = None, output: Path | None = None
    ) -> None:
        """Run to the end with these files as input and output; raises Problem with its last words when it fails."""
        with (
            (source or Path(os.devnull)).open("rb") as stdin,
            (output or Path(os.devnull)).open("wb") as stdout,
        ):
            done = subprocess.run(
                [*self._command, *arguments],
                cwd=self.layout.root,
                env=self._env,
                stdin=stdin,
                stdout=stdout,
                stderr=subprocess.PIPE,
                check=False,
            )
        if done.returncode:
            raise Problem(explain(doing, done.stderr.decode(errors="replace"), None))

    def containers(self, *, all_: bool = True) -> list[dict[str, Any]]:
        """What `docker compose ps` knows, one entry a container."""
        text = self.do("ps", "--format", "json", *(["--all"] if all_ else []), doing="Listing the containers")
        return [json.loads(line) for line in text.splitlines() if line.strip()]

    def services(self) -> list[str]:
        """Every service of docker-compose.yml."""
        return self.do("config", "--services", doing="Reading docker-compose.yml").split()

    def running(self, service: str) -> set[str]:
        """The ids of the running containers of one service of docker-compose.yml."""
        return set(
            self.do("ps", "--quiet", "--status", "running", service, doing=f"Finding {service}").split()
        )

    def addresses(self, service: str) -> list[str]:
        """The IP addresses of a running container, which this machine reaches on the internal networks too."""
        found = self.running(service)
        if not found:
            raise Problem(f"{service} is not running: `make up` starts it.")
        form = "{{range .NetworkSettings.Networks}}{{.IPAddress}} {{end}}"
        return docker("inspect", "--format", form, found.pop()).stdout.split()


def docker(*arguments: str) -> subprocess.CompletedProcess[str]:
    """The engine's own client, without Compose; what it says is not shown."""
    return subprocess.run(
        ["docker", *arguments], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )


def explain(doing: str, said: str, log: Path | None) -> str:
    """One sentence for a failed command; an engine without images is told where else to get them."""
    lines = [line for line in said.strip().splitlines() if line.strip()] or ["it said nothing"]
    lower = said.lower()
    if any(words in lower for words in NO_IMAGES):
        culprit = next(line for line in reversed(lines) if any(words in line.lower() for words in NO_IMAGES))
        return (
            f"The Docker engine cannot get its images ({culprit.strip()[:300]}): `make up RUNTIME=native` runs the shop as"
            " host processes, and deploy/docker/bases.sh makes the base images from packages where no registry can be"
            " reached."
        )
    where = f" (all of it in {log})" if log else ""
    return f"{doing} failed{where}: " + "\n".join(lines[-8:])
