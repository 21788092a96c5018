"""A service of the running stack gets new processes while clients use it, and the clients notice nothing."""

import json
import os
import shutil
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from release import artefacts
from shop import stack, supervisor
from shop.layout import ROOT, Layout, find_layout
from shop.report import Progress

sys.path.append(str(ROOT / "tests"))

from load.steady import Counted, Steady

pytestmark = [pytest.mark.stack, pytest.mark.timeout(300)]
SERVICE = "svc-cart"


def shop(*arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
    """`deploy/shop`, as `make` calls it."""
    return subprocess.run(
        [str(ROOT / "deploy" / "shop"), *arguments],
        cwd=ROOT,
        env={**os.environ, "RUNTIME": "native", **env},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(scope="module")
def layout() -> Layout:
    return find_layout()


def manifest(layout: Layout) -> dict[str, object]:
    """What svc-cart's web says of itself."""
    found = stack.find(layout, Progress())
    assert found
    url = f"http://127.0.0.1:{found.env['SVC_CART_PORT']}/internal/v1/manifest"
    with urllib.request.urlopen(url, timeout=10) as answer:
        content: dict[str, object] = json.load(answer)
    return content


def generation(layout: Layout) -> set[int]:
    """The processes that serve the port of svc-cart's web, or wait to."""
    found = stack.find(layout, Progress())
    assert found
    holder = supervisor.states(found.rpc)[f"{SERVICE}-web"]["pid"]
    return set(map(int, Path(f"/proc/{holder}/task/{holder}/children").read_text().split()))


@pytest.fixture
def base_url(layout: Layout) -> str:
    found = stack.find(layout, Progress())
    assert found
    return f"http://localhost:{found.env['GATEWAY_PORT']}"


@pytest.fixture
def settings(layout: Layout) -> Iterator[Path]:
    """The stack's `.env`, as it was again afterwards."""
    before = layout.env_file.read_text()
    yield layout.env_file
    layout.env_file.write_text(before)


def unharmed(counted: Counted) -> None:
    print(counted)
    assert counted.failed == []
    assert counted.sent > 30


def test_a_restart_under_load_loses_no_request_and_takes_changed_settings(
    layout: Layout, base_url: str, settings: Path
) -> None:
    before = generation(layout)
    settings.write_text(settings.read_text() + "SVC_CART__CART_GUEST_DAYS=29\n")
    with Steady(base_url) as load:
        done = shop("restart", SERVICE)
    assert done.returncode == 0, done.stderr
    unharmed(load.counted)
    after = generation(layout)
    assert len(after) == 1
    assert not after & before
    (web,) = after
    assert b"CART_GUEST_DAYS=29" in Path(f"/proc/{web}/environ").read_bytes().split(b"\0")


def test_a_restart_that_cannot_serve_is_a_sentence_and_the_old_process_goes_on(
    layout: Layout, base_url: str, settings: Path
) -> None:
    before = generation(layout)
    settings.write_text(settings.read_text() + "SVC_CART__CART_GUEST_DAYS=0\n")
    with Steady(base_url) as load:
        done = shop("restart", SERVICE)
    assert done.returncode == 1
    assert "The new process of svc-cart-web ended with exit code" in done.stderr
    assert "the one before goes on serving" in done.stderr
    assert "CART_GUEST_DAYS" in done.stderr
    unharmed(load.counted)
    assert generation(layout) == before


Change = Callable[[Path], None]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("release") / "wheels"
    artefacts.build_wheel(ROOT, folder)
    (found,) = folder.iterdir()
    return found


@pytest.fixture
def release(layout: Layout, wheel: Path) -> Iterator[Callable[[str, Change], None]]:
    """`release(version, change)`: a release of svc-cart as `make release` writes it, with `change` done to its `app`."""
    made: list[Path] = []

    def make(version: str, change: Change) -> None:
        folder = layout.state / "releases" / SERVICE / version
        made.append(folder)
        shutil.copytree(ROOT / SERVICE, folder / "app", ignore=shutil.ignore_patterns("tests", "__pycache__"))
        (folder / "wheels").mkdir()
        shutil.copy(wheel, folder / "wheels")
        shutil.copy(ROOT / SERVICE / "requirements.lock", folder)
        (folder / "release.json").write_text(json.dumps({"service": SERVICE, "version": version}))
        change(folder / "app")

    yield make
    for folder in made:
        shutil.rmtree(folder, ignore_errors=True)
        shutil.rmtree(layout.state / "installed" / SERVICE / folder.name, ignore_errors=True)


def migration(name: str, sql: str) -> Change:
    """A last migration more that runs this."""

    def change(app: Path) -> None:
        folder = app / "cart" / "migrations"
        last = max(path.stem for path in folder.glob("[0-9]*.py"))
        (folder / f"9999_{name}.py").write_text(
            "from django.db import migrations\n\n\nclass Migration(migrations.Migration):\n"
            f"    dependencies = [('cart', {last!r})]\n    operations = [migrations.RunSQL({sql!r}, '')]\n"
        )

    return change


def never_ready(app: Path) -> None:
    urls = app / "config" / "urls.py"
    urls.write_text(
        urls.read_text()
        + "from django.http import HttpResponse\nfrom django.urls import path\n"
        + 'urlpatterns.insert(0, path("readyz", lambda request: HttpResponse("not today", status=503)))\n'
    )


def test_an_upgrade_and_the_way_back_under_load_lose_no_request(
    layout: Layout, base_url: str, release: Callable[[str, Change], None]
) -> None:
    release("7.1.0", migration("more", "CREATE TABLE IF NOT EXISTS cart_of_a_test (id int)"))
    with Steady(base_url) as load:
        up = shop("upgrade", SERVICE, VERSION="7.1.0")
        new = manifest(layout)["version"]
        listed = shop("ps", SERVICE).stdout
        back = shop("rollback", SERVICE)
    assert (up.returncode, back.returncode) == (0, 0), up.stderr + back.stderr
    unharmed(load.counted)
    assert new == "7.1.0"
    assert [line.split()[-2] for line in listed.splitlines()[2:]] == ["7.1.0"] * 3
    assert manifest(layout)["version"] == "dev"
    assert "svc-cart runs dev again." in back.stdout


def test_a_release_that_cannot_run_is_a_sentence_and_the_old_one_goes_on(
    layout: Layout, base_url: str, release: Callable[[str, Change], None]
) -> None:
    release("7.2.0", migration("broken", "SELECT 1/0"))
    release("7.3.0", never_ready)
    before = generation(layout)
    with Steady(base_url) as load:
        broken = shop("upgrade", SERVICE, VERSION="7.2.0")
        unready = shop("upgrade", SERVICE, VERSION="7.3.0", SHOP_READY_SECONDS="5")
        absent = shop("upgrade", SERVICE, VERSION="7.4.0")
    unharmed(load.counted)
    assert (broken.returncode, unready.returncode, absent.returncode) == (1, 1, 1)
    assert "svc-cart: migrate failed: " in broken.stderr
    assert "division by zero" in broken.stderr
    assert "svc-cart dev goes on serving." in broken.stderr
    assert (
        "The new process of svc-cart-web was not ready within 5 s; the one before goes on" in unready.stderr
    )
    assert "There is no release 7.4.0 of svc-cart" in absent.stderr
    assert generation(layout) == before
    assert manifest(layout)["version"] == "dev"
