"""`make backup` and `make restore` on host processes: the package `deploy/backup` with this stack's stores and files."""

import argparse
import contextlib
import os
import shutil
import sqlite3
import sys
import tarfile
from collections.abc import Iterator
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
SANDBOX = "sandbox.sqlite3"
#: Of the old `.env`: what data or clients go on to need. Ports and passwords of stores are the new stack's own.
KEPT = ("DEMO_PASSWORD", "SHOP_CURRENCY", "STOREFRONT_URL", "EMAIL_FROM")


def folder(layout: Layout) -> Path:
    return layout.state / "backups"


def owner_url(env: dict[str, str], service: str) -> str:
    """A service's database for the cluster's owner, who alone may lock every table."""
    return f"postgresql://postgres:{env['POSTGRES_PASSWORD']}@127.0.0.1:{env['POSTGRES_PORT']}/{postgres.role_of(service)}"


def make(layout: Layout, arguments: argparse.Namespace) -> int:
    """Back up the running stack into a folder of its own."""
    shop = stack.find(layout, Progress())
    if shop is None or supervisor.pid(layout) is None:
        raise Problem("The shop is not running, and its databases with it: `make up` starts it.")
    now = datetime.now(UTC)
    final = folder(layout) / now.strftime("%Y%m%dT%H%M%SZ")
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
        f"{final}\n{size:.1f} MB in {shop.progress.seconds:.1f} s; {waited}.\n"
        f"Its folder {archive.SECRETS}/ holds every key and password in plain text: keep it encrypted, and apart from the rest."
    )
    return 0


def _fill(shop: stack.Stack, target: Path) -> archive.Manifest:
    layout, env = shop.layout, shop.env
    urls = {service: owner_url(env, service) for service in shop.services}
    with moment.one_moment(urls) as now:
        made_at = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")

        def dump(service: str) -> None:
            tools.run(
                [
                    str(tools.postgres_bin(_major(layout)) / "pg_dump"),
                    *("--format", "custom", "--compress", "1", "--snapshot", now.snapshots[service]),
                    *("--host", "127.0.0.1", "--port", env["POSTGRES_PORT"], "--username", "postgres"),
                    *("--file", str(target / "databases" / f"{service}.dump"), postgres.role_of(service)),
                ],
                doing=f"Dumping the database of {service}",
                env={"PGPASSWORD": env["POSTGRES_PASSWORD"]},
                timeout=3600,
            )

        with ThreadPoolExecutor(DUMPS_AT_ONCE) as pool:
            list(pool.map(dump, shop.services))
        migrations = {service: _applied(url) for service, url in urls.items()}
    # After the moment: a picture is written before its row, and the provider may know more than we, never less.
    with tarfile.open(target / "media.tar", "w") as tar:
        tar.add(layout.media, "media")
    books = layout.data / SANDBOX
    if books.exists():
        with (
            contextlib.closing(sqlite3.connect(books)) as source,
            contextlib.closing(sqlite3.connect(target / SANDBOX)) as copy,
        ):
            source.backup(copy)
    secrets = target / archive.SECRETS
    secrets.mkdir(mode=0o700)
    shutil.copy(layout.env_file, secrets / "env")
    shutil.copytree(layout.keys, secrets / "keys")
    return archive.Manifest(
        made_at=made_at,
        postgres=str(_major(layout)),
        stood_still_seconds=round(now.stood_still, 3),
        migrations=migrations,
    )


def _major(layout: Layout) -> int:
    return int((postgres.data_folder(layout) / "PG_VERSION").read_text())


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


def restore(layout: Layout, arguments: argparse.Namespace) -> int:
    """Make the stack hold what a backup holds, and start it. BACKUP names its folder, else the newest of this stack's."""
    source = _chosen(layout)
    try:
        manifest = archive.read(source)
        found = services.discover(layout.root)
        archive.check_fit(source, manifest, {service: _known(layout.root, service) for service in found})
    except archive.Refused as refused:
        raise Problem(str(refused)) from None
    progress = Progress()
    progress.say(f"{source.name} is whole: the shop of {manifest.made_at}")
    if postgres.installed(layout):
        if os.environ.get("FORCE") != "1":
            raise Problem(
                "This stack has data, which a restore would replace: `make backup` keeps it, FORCE=1 throws it away."
            )
        progress.say("stopping, and throwing away what is there")
        stack.down(layout, None)
        _empty(layout)
    shop = stack.create(layout, progress, _given(source, found))
    if int(manifest.postgres) > _newest_postgres():
        raise Problem(
            f"The backup was made by PostgreSQL {manifest.postgres}, and an older one is installed here."
        )
    _files(layout, source)
    shop.configure()
    shop.infrastructure()
    shop.databases()
    progress.say("filling the databases")
    with ThreadPoolExecutor(DUMPS_AT_ONCE) as pool:
        list(pool.map(lambda service: _load(shop, source, service), found))
    with _connections(shop) as connections:
        again = redelivery.send_again(connections)
    # The seed is part of what was backed up, and what people changed of it since must not come back.
    for service, identity in postgres.database_ids(shop.env, found).items():
        (layout.stamps / f"{service}.seeded").write_text(identity)
    progress.say(f"{again} events were under way and are sent again")
    shop.serve()
    progress.say("ready")
    return 0


def _chosen(layout: Layout) -> Path:
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


def _given(source: Path, found: list[str]) -> dict[str, str]:
    """What the stack takes over of the backed-up settings."""
    old = parse((source / archive.SECRETS / "env").read_text(), source / archive.SECRETS / "env")
    keys = [*KEPT, *(f"{prefix(service)}_SECRET_KEY" for service in found)]
    given = {name: old[name] for name in keys if name in old}
    # A setting of one service, as it was; where something is belongs to the new stack.
    own = (name for name in old if "__" in name and not name.endswith(("_URL", "_DIR", "_FILE")))
    given |= {name: old[name] for name in own}
    if port := os.environ.get("GATEWAY_PORT"):
        given["GATEWAY_PORT"] = port
    return given


def _newest_postgres() -> int:
    return int(tools.postgres_bin().parent.name)


def _files(layout: Layout, source: Path) -> None:
    """Keys, pictures, the provider's books: before anything starts that reads them."""
    shutil.copytree(source / archive.SECRETS / "keys", layout.keys, dirs_exist_ok=True)
    with tarfile.open(source / "media.tar") as tar:
        tar.extractall(layout.data, filter="data")
    if (source / SANDBOX).exists():
        shutil.copy(source / SANDBOX, layout.data / SANDBOX)


def _load(shop: stack.Stack, source: Path, service: str) -> None:
    """As the service's own role, whose everything in its database is; PostgreSQL's user may not enter the backup."""
    env, role = shop.env, postgres.role_of(service)
    dump = source / "databases" / f"{service}.dump"
    tools.run(
        [
            str(tools.postgres_bin(_major(shop.layout)) / "pg_restore"),
            *("--no-owner", "--no-privileges", "--no-comments", "--exit-on-error", "--role", role),
            *("--host", "127.0.0.1", "--port", env["POSTGRES_PORT"], "--username", "postgres"),
            *("--dbname", role, str(dump)),
        ],
        doing=f"Filling the database of {service}",
        env={"PGPASSWORD": env["POSTGRES_PASSWORD"]},
        timeout=3600,
    )


@contextlib.contextmanager
def _connections(shop: stack.Stack) -> Iterator[dict[str, redelivery.Connection]]:
    with contextlib.ExitStack() as opened:
        yield {
            service: opened.enter_context(psycopg.connect(owner_url(shop.env, service)))
            for service in shop.services
        }
