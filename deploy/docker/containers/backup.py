"""How `make backup` and `make restore` reach a shop in containers; what they do is `shop.backup`'s."""

import shutil
from pathlib import Path

from containers import files, rolling
from containers.engine import Compose, docker
from shop import backup, postgres
from shop.envfile import prefix
from shop.layout import Layout
from shop.problems import Problem

#: Run in images of ours: a tar file to where it is read, and back, and the same of the provider's books.
_PACK = "import sys, tarfile; tarfile.open(fileobj=sys.stdout.buffer, mode='w|').add('/media', 'media')"
_UNPACK = """
import sys, tarfile
with tarfile.open(fileobj=sys.stdin.buffer, mode="r|") as tar:
    for each in tar:
        if each.name != "media":  # the volume has an owner and a mode of its own
            tar.extract(each, "/", filter="data")
"""
_BOOKS = f"/data/{backup.SANDBOX}"
_COPY = f"import sqlite3, sys; sys.stdout.buffer.write(sqlite3.connect({_BOOKS!r}).serialize())"
_PUT = f"import shutil, sys; shutil.copyfileobj(sys.stdin.buffer, open({_BOOKS!r}, 'wb'))"


class Containers(backup.Shop):
    """Each database by the programs in its own container; only what makes the one moment comes from outside."""

    def __init__(self, layout: Layout, env: dict[str, str], found: list[str], compose: Compose) -> None:
        super().__init__(layout, env, found)
        self._compose = compose

    def url(self, service: str) -> str:
        return backup.owner_url(self.env, service, self._compose.addresses(server(service))[0], "5432")

    def dump(self, service: str, snapshot: str, target: Path) -> None:
        options = ("--format", "custom", "--compress", "1", "--snapshot", snapshot, "--username", "postgres")
        self._exec(
            server(service),
            *("pg_dump", *options, postgres.role_of(service)),
            doing=f"Dumping the database of {service}",
            output=target,
        )

    def load(self, service: str, source: Path) -> None:
        self._exec(
            server(service),
            *("pg_restore", "--username", "postgres", *backup.load_options(service)),
            doing=f"Filling the database of {service}",
            source=source,
        )

    def pictures(self, target: Path) -> None:
        self._exec("svc-catalog-web", "python", "-c", _PACK, doing="Copying the pictures", output=target)

    def books(self, target: Path) -> None:
        self._exec("sandbox", "python", "-c", _COPY, doing="Copying the provider's books", output=target)

    def _exec(
        self,
        container: str,
        *command: str,
        doing: str,
        source: Path | None = None,
        output: Path | None = None,
    ) -> None:
        self._compose.pipe("exec", "--no-TTY", container, *command, doing=doing, source=source, output=output)


def server(service: str) -> str:
    return f"postgres-{service.removeprefix('svc-')}"


def has_data(compose: Compose) -> bool:
    label = f"label=com.docker.compose.project={compose.project}"
    return "_postgres-" in docker("volume", "ls", "--quiet", "--filter", label).stdout


def newest_postgres(compose: Compose) -> int:
    """The version in the image that the databases run."""
    image = compose.do("config", "--images", server("svc-orders"), doing="Reading docker-compose.yml").strip()
    said = docker("run", "--rm", "--network", "none", "--entrypoint", "postgres", image, "--version")
    words = said.stdout.split()
    if said.returncode or len(words) < 3:
        raise Problem(f"The image {image} does not tell PostgreSQL's version: {said.stderr.strip()[-300:]}")
    return int(words[2].partition(".")[0])


def empty(layout: Layout, compose: Compose) -> None:
    """Everything that the stack holds, but its settings, its backups, and which releases run."""
    compose.do("down", "--volumes", "--remove-orphans", doing="Removing the containers and their data")
    shutil.rmtree(layout.keys, ignore_errors=True)
    for each in files.folder(layout).iterdir():
        if each != rolling.records(layout):
            shutil.rmtree(each) if each.is_dir() else each.unlink()


def put(shop: Containers, compose: Compose, source: Path) -> None:
    """Pictures, the provider's books and databases, before anything starts that reads them."""
    run = ("run", "--rm", "--no-TTY", "--no-deps", "--entrypoint", "python")
    command = (*run, "svc-catalog-migrate", "-c", _UNPACK)
    compose.pipe(*command, doing="Filling in the pictures", source=source / backup.MEDIA)
    if (source / backup.SANDBOX).exists():
        command = (*run, "sandbox", "-c", _PUT)
        compose.pipe(*command, doing="Filling in the provider's books", source=source / backup.SANDBOX)
    compose.do(
        *("up", "--detach", "--no-build", "--wait", *(server(service) for service in shop.services)),
        doing="Starting the databases",
    )
    for service in shop.services:
        # A new database has the first of the two logins; where a rotation left the other in use, it is made.
        login = postgres.login_of(service, shop.env)
        if login != postgres.role_of(service):
            host = compose.addresses(server(service))[0]
            with postgres.connect({**shop.env, "POSTGRES_PORT": "5432"}, host=host) as connection:
                password = shop.env[f"{prefix(service)}_DATABASE_PASSWORD"]
                postgres.let_in(connection, service, login, password)
                postgres.shut_out(connection, postgres.role_of(service))
