"""One service in containers gets new ones while clients use the shop, and the clients notice nothing.

    deploy/shop end-to-end "" containers

Carts and pages at 100 requests a second, and purchases, in which svc-orders asks the others: each failure is counted by the client.
The shop runs what it ran before afterwards.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from containers.usage import ROOT, SERVICES, Load, shop, versions

pytestmark = pytest.mark.timeout(600)
CART = "svc-cart"


@pytest.mark.parametrize("service", SERVICES)
def test_a_restart_loses_no_request(base_url: str, service: str) -> None:
    with Load(base_url) as load:
        done = shop("restart", service)
    assert done.returncode == 0, done.stderr
    load.unharmed()


@pytest.fixture
def image(tmp_path: Path) -> Iterator[Callable[..., None]]:
    """`image(version, **files)`: the running svc-cart's image as that release, with more files in its folder."""
    prefix = os.environ.get("SHOP_IMAGES", "shop")
    made: list[str] = []

    def make(version: str, files: dict[str, str]) -> None:
        folder = tmp_path / version
        folder.mkdir()
        recipe = (
            f"FROM {prefix}/{CART}:{os.environ.get('SHOP_VERSION', 'dev')}\nENV SERVICE_VERSION={version}\n"
        )
        for number, (path, content) in enumerate(files.items()):
            (folder / str(number)).write_text(content)
            (folder / str(number)).chmod(0o644)
            recipe += f"COPY {number} /app/{path}\n"
        (folder / "Dockerfile").write_text(recipe)
        made.append(f"{prefix}/{CART}:{version}")
        command = ["docker", "build", "--quiet", "--pull=false", "--tag", made[-1], str(folder)]
        subprocess.run(command, env={**os.environ, "DOCKER_BUILDKIT": "1"}, check=True, capture_output=True)

    records = Path(os.environ["SHOP_STATE_DIR"]) / "docker" / "releases.json"
    before = records.read_text() if records.exists() else None
    assert set(versions(CART).values()) == {"dev"}, "the test begins and ends with the checkout's code"
    yield make
    assert set(versions(CART).values()) == {"dev"}
    if before is None:
        records.unlink(missing_ok=True)
    else:
        records.write_text(before)
    if made:
        subprocess.run(["docker", "rmi", "--force", *made], check=True, capture_output=True)


def migration(name: str, sql: str) -> dict[str, str]:
    """A last migration more that runs this."""
    last = max(path.stem for path in (ROOT / CART / "cart" / "migrations").glob("[0-9]*.py"))
    return {
        f"cart/migrations/9999_{name}.py": "from django.db import migrations\n\n\nclass Migration(migrations.Migration):\n"
        f"    dependencies = [('cart', {last!r})]\n    operations = [migrations.RunSQL({sql!r}, '')]\n"
    }


def at_the_database(sql: str) -> list[str]:
    """A command that runs this in the database of svc-cart."""
    of_this_shop = ("project.working_dir=" + str(ROOT), "service=postgres-cart")
    filters = [f"--filter=label=com.docker.compose.{label}" for label in of_this_shop]
    found = subprocess.run(["docker", "ps", "--quiet", *filters], check=True, capture_output=True, text=True)
    return ["docker", "exec", found.stdout.strip(), "psql", "-U", "postgres", "-d", "svc_cart", "-c", sql]


def test_an_upgrade_and_the_way_back_lose_no_request(base_url: str, image: Callable[..., None]) -> None:
    image("7.1.0", migration("more", "CREATE TABLE IF NOT EXISTS cart_of_a_test (id int)"))
    try:
        with Load(base_url) as load:
            up = shop("upgrade", CART, VERSION="7.1.0")
            new = versions(CART)
            back = shop("rollback", CART)
    finally:
        # A migration that the tree does not have would make a backup of this shop one that the tree cannot restore.
        forget = "DELETE FROM django_migrations WHERE name LIKE '9999%'; DROP TABLE IF EXISTS cart_of_a_test"
        subprocess.run(at_the_database(forget), check=True, stdout=subprocess.DEVNULL)
    assert (up.returncode, back.returncode) == (0, 0), up.stderr + back.stderr
    assert new == dict.fromkeys((f"{CART}-{process}" for process in ("events", "web", "worker")), "7.1.0")
    assert "svc-cart runs dev again." in back.stdout
    load.unharmed()


def test_what_cannot_run_is_a_sentence_and_the_old_one_goes_on(
    base_url: str, image: Callable[..., None]
) -> None:
    image("7.2.0", migration("broken", "SELECT 1/0"))
    image("7.3.0", {"config/urls.py": (ROOT / CART / "config" / "urls.py").read_text() + NEVER_READY})
    image("7.4.0", {"config/settings.py": (ROOT / CART / "config" / "settings.py").read_text() + NO_WORKER})
    with Load(base_url) as load:
        broken = shop("upgrade", CART, VERSION="7.2.0")
        unready = shop("upgrade", CART, VERSION="7.3.0", SHOP_READY_SECONDS="10")
        workless = shop("upgrade", CART, VERSION="7.4.0")
        absent = shop("upgrade", CART, VERSION="7.5.0")
    assert [done.returncode for done in (broken, unready, workless, absent)] == [1, 1, 1, 1]
    assert "division by zero" in broken.stderr
    assert "svc-cart dev goes on serving." in broken.stderr
    assert (
        "The new container of svc-cart-web was not ready within 10 s; the one before goes on"
        in unready.stderr
    )
    assert "not today" in unready.stderr
    assert "svc-cart dev serves again." in workless.stderr
    assert "The engine has no image" in absent.stderr
    load.unharmed()


NEVER_READY = """
from django.http import HttpResponse
from django.urls import path
urlpatterns.insert(0, path("readyz", lambda request: HttpResponse("not today", status=503)))
"""
NO_WORKER = """
import os
if os.environ.get("SHOP_PROCESS") == "worker":
    raise SystemExit("no worker today")
"""


def test_a_migration_that_waits_for_a_lock_is_given_up(base_url: str, image: Callable[..., None]) -> None:
    image("7.6.0", migration("locked", "ALTER TABLE cart_cart ADD COLUMN of_a_test int"))
    command = at_the_database("BEGIN; LOCK TABLE cart_cart IN ACCESS SHARE MODE; SELECT pg_sleep(30)")
    with Load(base_url) as load, subprocess.Popen(command, stdout=subprocess.DEVNULL) as holder:
        done = shop("upgrade", CART, VERSION="7.6.0")
        assert holder.poll() is None
        holder.terminate()
    assert done.returncode == 1
    assert "lock timeout" in done.stderr
    assert "svc-cart dev goes on serving." in done.stderr
    load.unharmed()
