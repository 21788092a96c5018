"""`make backup` and `make restore`: the package `deploy/backup` with this stack's stores and files.

Here is what both runtimes do, and how host processes do it; `containers.backup` is how containers do.
"""

import argparse
import contextlib
import os
import shutil
import sqlite3
import subprocess
import sys
import tarfile
from abc import ABC, abstractmethod
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import psycopg

from shop import gateway, postgres, services, stack, supervisor, tools
from shop.envfile import parse, prefix
from shop.layout import ROOT, Layout
from shop.problems import Problem
from shop.report import Progress

sys.path.append(str(ROOT / "deploy"))
from backup import archive, moment, redelivery

DUMPS_AT_ONCE = 2
MEDIA = "media.tar"
SANDBOX = "sandbox.sqlite3"
#: Of the old `.env`: what data or clients go on to need. Ports and passwords of stores are the new stack's own.
KEPT = ("DEMO_PASSWORD", "SHOP_CURRENCY", "STOREFRONT_URL", "EMAIL_FROM")


def folder(layout: Layout) -> Path:
    return layout.state / "backups"


def owner_url(env: dict[str, str], service: str, host: str = "127.0.0.1", port: str = "") -> str:
    """A service's database for the cluster's owner, who alone may lock every table."""
    server = f"{host}:{port or env['POSTGRES_PORT']}"
    return f"postgresql://postgres:{env['POSTGRES_PASSWORD']}@{server}/{postgres.role_of(service)}"


class Shop(ABC):
    """A shop whose databases run, as its runtime reaches it."""

    def __init__(self, layout: Layout, env: dict[str, str], found: list[str]) -> None:
        self.layout, self.env, self.services = layout, env, found

    @abstractmethod
    def url(self, service: str) -> str:
        """Of the service's database, for the cluster's owner."""

    @abstractmethod
    def dump(self, service: str, snapshot: str, target: Path) -> None:
        """What the snapshot shows of the service's database, in `pg_dump`'s custom format."""

    @abstractmethod
    def load(self, service: str, source: Path) -> None:
        """Such a file into the empty database, as the service's own role, whose everything in it is."""

    @abstractmethod
    def pictures(self, target: Path) -> None:
        """A tar file with the folder `media`."""

    @abstractmethod
    def books(self, target: Path) -> None:
        """The sandbox provider's database, where there is one."""


def make(layout: Layout, arguments: argparse.Namespace) -> int:
    """Back up the running stack into a folder of its own."""
    progress = Progress()
    shop = stack.find(layout, progress)
    if shop is None or supervisor.pid(layout) is None:
        raise Problem("The shop is not running, and its databases with it: `make up` starts it.")
    return write(HostProcesses(layout, shop.env, shop.services), progress)


def write(shop: Shop, progress: Progress) -> int:
    now = datetime.now(UTC)
    final = folder(shop.layout) / now.strftime("%Y%m%dT%H%M%SZ")
    partial = final.with_name(f"{final.name}.partial")
    if final.exists() or partial.exists():
        raise Problem(f"{final} is there already: wait a second and try again.")
    (partial / "databases").mkdir(mode=0o700, parents=True)
    try:
        manifest = _fill(shop, partial)
    except (psycopg.Error, moment.NeverQuiet) as error:
        shutil.rmtree(partial)
        raise Problem(f"The databases could not be backed up: {str(error).splitlines()[0]}") from None
    except BaseException:
        shutil.rmtree(partial)
        raise
    archive.seal(partial, manifest)
    partial.replace(final)
    size = sum(path.stat().st_size for path in final.rglob("*") if path.is_file()) / 1_000_000
    waited = f"writers waited for {manifest.stood_still_seconds * 1000:.0f} ms"
    print(
        f"{final}\n{size:.1f} MB in {progress.seconds:.1f} s; {waited}.\n"
        f"Its folder {archive.SECRETS}/ holds every key and password in plain text: keep it encrypted, and apart from the rest."
    )
    return 0


def _fill(shop: Shop, target: Path) -> archive.Manifest:
    urls = {service: shop.url(service) for service in shop.services}
    with moment.one_moment(urls) as now:
        made_at = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")

        def dump(service: str) -> None:
            shop.dump(service, now.snapshots[service], target / "databases" / f"{service}.dump")

        with ThreadPoolExecutor(DUMPS_AT_ONCE) as pool:
            list(pool.map(dump, shop.services))
        migrations = {service: _applied(url) for service, url in urls.items()}
    # After the moment: a picture is written before its row, and the provider may know more than we, never less.
    shop.pictures(target / MEDIA)
    shop.books(target / SANDBOX)
    secrets = target / archive.SECRETS
    secrets.mkdir(mode=0o700)
    shutil.copy(shop.layout.env_file, secrets / "env")
    shutil.copytree(shop.layout.keys, secrets / "keys")
    return archive.Manifest(
        made_at=made_at,
        postgres=str(max(map(_major, urls.values()))),
        stood_still_seconds=round(now.stood_still, 3),
        migrations=migrations,
    )


def _major(url: str) -> int:
    """The version of the server that made the dumps."""
    with psycopg.connect(url) as connection:
        return connection.info.server_version // 10000


def _applied(url: str) -> list[str]:
    """`app.name` of every migration of ours that was applied, those of Django's own apps aside."""
    with psycopg.connect(url) as connection:
        rows = connection.execute("SELECT app, name FROM django_migrations ORDER BY 1, 2").fetchall()
    return [f"{app}.{name}" for app, name in rows if app not in ("auth", "contenttypes")]


def _known(root: Path, service: str) -> set[str]:
    """`app.name` of every migration that this tree has for a service."""
    folders = (root / service, root / "shared-lib" / "src")
    paths = (path for each in folders for path in each.glob("**/migrations/[0-9]*.py"))
    return {f"{path.parents[1].name}.{path.stem}" for path in paths}


def chosen(layout: Layout, progress: Progress) -> tuple[Path, archive.Manifest]:
    """The backup that BACKUP names, else the newest of this stack's. Raises Problem unless it is whole and of this shop."""
    source = _named(layout)
    found = services.discover(layout.root)
    try:
        manifest = archive.read(source)
        archive.check_fit(source, manifest, {service: _known(layout.root, service) for service in found})
    except archive.Refused as refused:
        raise Problem(str(refused)) from None
    progress.say(f"{source.name} is whole: the shop of {manifest.made_at}")
    return source, manifest


def check_may_replace(manifest: archive.Manifest, newest: int, *, data: bool) -> None:
    """Raises Problem where this stack's PostgreSQL is older than the backup's, or data would be lost that nobody gave up."""
    if int(manifest.postgres) > newest:
        raise Problem(
            f"The backup was made by PostgreSQL {manifest.postgres}, and the newest here is {newest}."
        )
    if data and os.environ.get("FORCE") != "1":
        raise Problem(
            "This stack has data, which a restore would replace: `make backup` keeps it, FORCE=1 throws it away."
        )


def restore(layout: Layout, arguments: argparse.Namespace) -> int:
    """Make the stack hold what a backup holds, and start it."""
    progress = Progress()
    source, manifest = chosen(layout, progress)
    data = postgres.installed(layout)
    check_may_replace(manifest, int(tools.postgres_bin().parent.name), data=data)
    if data:
        progress.say("stopping, and throwing away what is there")
        stack.down(layout, None)
        _empty(layout)
    shop = stack.create(layout, progress, given(source, manifest))
    _files(layout, source)
    shop.configure()
    shop.infrastructure()
    shop.databases()
    fill(HostProcesses(layout, shop.env, shop.services), source, progress.say)
    # The seed is part of what was backed up, and what people changed of it since must not come back.
    for service, identity in postgres.database_ids(shop.env, shop.services).items():
        (layout.stamps / f"{service}.seeded").write_text(identity)
    shop.serve()
    progress.say("ready")
    return 0


def fill(shop: Shop, source: Path, say: Callable[[str], None]) -> None:
    """The empty databases, with what the backup has, and what was under way is sent again."""
    say("filling the databases")
    with ThreadPoolExecutor(DUMPS_AT_ONCE) as pool:
        list(pool.map(lambda each: shop.load(each, source / "databases" / f"{each}.dump"), shop.services))
    with contextlib.ExitStack() as opened:
        again = redelivery.send_again(
            {each: opened.enter_context(psycopg.connect(shop.url(each))) for each in shop.services}
        )
    say(f"{again} events were under way and are sent again")


def _named(layout: Layout) -> Path:
    if named := os.environ.get("BACKUP"):
        return Path(named).absolute()
    made = sorted(path for path in folder(layout).glob("*Z") if path.is_dir())
    if not made:
        raise Problem(f"There is no backup in {folder(layout)}: BACKUP=FOLDER names another one.")
    return made[-1]


def _empty(layout: Layout) -> None:
    """Everything that the stack holds, but its settings and its backups."""
    postgres.remove_data(layout)
    for each in (layout.data, layout.stamps, layout.keys, gateway.folder(layout)):
        shutil.rmtree(each, ignore_errors=True)
    # Where PostgreSQL's data was is decided anew.
    (layout.state / "postgres.json").unlink(missing_ok=True)


def given(source: Path, manifest: archive.Manifest) -> dict[str, str]:
    """What the stack takes over of the backed-up settings."""
    old = parse((source / archive.SECRETS / "env").read_text(), source / archive.SECRETS / "env")
    # With the one that signed before, as long as that counts.
    suffixes = ("", "_NEXT", "_PREVIOUS", "_SINCE")
    keys = [
        *KEPT,
        *(f"{prefix(service)}_SECRET_KEY{suffix}" for service in manifest.services for suffix in suffixes),
    ]
    kept = {name: old[name] for name in keys if name in old}
    # A setting of one service, as it was; where something is belongs to the new stack.
    own = (name for name in old if "__" in name and not name.endswith(("_URL", "_DIR", "_FILE")))
    kept |= {name: old[name] for name in own}
    if port := os.environ.get("GATEWAY_PORT"):
        kept["GATEWAY_PORT"] = port
    return kept


def keys(layout: Layout, source: Path) -> None:
    shutil.copytree(source / archive.SECRETS / "keys", layout.keys, dirs_exist_ok=True)


def _files(layout: Layout, source: Path) -> None:
    """Keys, pictures, the provider's books: before anything starts that reads them."""
    keys(layout, source)
    # Python's own keeps an archive within its folder from 3.11.4 on only, which Debian 12 has not.
    unpacked = subprocess.run(
        ["tar", "--extract", "--no-same-owner", "--file", source / MEDIA, "--directory", layout.data],
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    if unpacked.returncode:
        raise Problem(f"{source / MEDIA} cannot be unpacked: {unpacked.stderr.strip()}.")
    if (source / SANDBOX).exists():
        shutil.copy(source / SANDBOX, layout.data / SANDBOX)


class HostProcesses(Shop):
    """Of host processes."""

    def url(self, service: str) -> str:
        return owner_url(self.env, service)

    def dump(self, service: str, snapshot: str, target: Path) -> None:
        options = ("--format", "custom", "--compress", "1", "--snapshot", snapshot)
        self._run(
            "pg_dump",
            *(*options, "--file", str(target), postgres.role_of(service)),
            doing=f"Dumping the database of {service}",
        )

    def load(self, service: str, source: Path) -> None:
        # PostgreSQL's user may not enter the backup.
        self._run(
            "pg_restore", *load_options(service), str(source), doing=f"Filling the database of {service}"
        )

    def _run(self, program: str, *arguments: str, doing: str) -> None:
        major = int((postgres.data_folder(self.layout) / "PG_VERSION").read_text())
        tools.run(
            [
                str(tools.postgres_bin(major) / program),
                *("--host", "127.0.0.1", "--port", self.env["POSTGRES_PORT"], "--username", "postgres"),
                *arguments,
            ],
            doing=doing,
            env={"PGPASSWORD": self.env["POSTGRES_PASSWORD"]},
            timeout=3600,
        )

    def pictures(self, target: Path) -> None:
        with tarfile.open(target, "w") as tar:
            tar.add(self.layout.media, "media")

    def books(self, target: Path) -> None:
        path = self.layout.data / SANDBOX
        if not path.exists():
            return
        with (
            contextlib.closing(sqlite3.connect(path)) as source,
            contextlib.closing(sqlite3.connect(target)) as copy,
        ):
            source.backup(copy)


def load_options(service: str) -> tuple[str, ...]:
    """Of `pg_restore`."""
    role = postgres.role_of(service)
    return (
        "--no-owner",
        "--no-privileges",
        "--no-comments",
        "--exit-on-error",
        "--role",
        role,
        "--dbname",
        role,
    )
