"""Which release of a service runs here, and which folder can be one."""

import json
import re
from pathlib import Path

import pytest

from shop import releases, services
from shop.envfile import complete
from shop.keys import ensure_keys
from shop.layout import ROOT, Layout
from shop.problems import Problem

SERVICE = "svc-cart"


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    found = Layout(ROOT, tmp_path, tmp_path / "env")
    found.make_folders()
    return found


@pytest.fixture
def folder(layout: Layout) -> Path:
    """A release that is whole, but for what its files hold."""
    found = layout.state / "releases" / SERVICE / "1.2.0"
    for name in ("app/manage.py", "wheels/shared_lib-1.0.0-py3-none-any.whl", "requirements.lock"):
        (found / name).parent.mkdir(parents=True, exist_ok=True)
        (found / name).touch()
    (found / "release.json").write_text(json.dumps({"service": SERVICE, "version": "1.2.0"}))
    return found


def test_the_checkouts_code_runs_until_a_release_does(layout: Layout) -> None:
    path = releases.records(layout)
    assert releases.record(path, SERVICE) == releases.Record("dev", None)
    assert releases.current(layout, SERVICE).folder == ROOT / SERVICE
    releases.remember(path, SERVICE, releases.Record("1.2.0", "dev"))
    assert releases.record(path, SERVICE) == releases.Record("1.2.0", "dev")
    assert releases.record(path, "svc-orders") == releases.Record("dev", None)


def test_a_release_runs_from_its_own_folder_and_libraries_with_its_version(layout: Layout) -> None:
    found = services.discover(ROOT)
    env = complete(layout.env_file, found, {})
    ensure_keys(layout, found)
    home = releases.home(layout, SERVICE, "1.2.0")
    for program in services.programs(layout, env, SERVICE, found, home):
        assert program.cwd == layout.state / "releases" / SERVICE / "1.2.0" / "app"
        assert program.argv[0] == str(layout.state / "installed" / SERVICE / "1.2.0" / "bin" / "python")
        assert program.env["SERVICE_VERSION"] == "1.2.0"


@pytest.mark.parametrize(
    "name", ["release.json", "app/manage.py", "requirements.lock", "wheels/shared_lib-1.0.0-py3-none-any.whl"]
)
def test_a_release_that_is_not_whole_is_a_sentence(layout: Layout, folder: Path, name: str) -> None:
    (folder / name).unlink()
    with pytest.raises(Problem, match=r"is no whole release: \S+ is missing"):
        releases.ensure(layout, SERVICE, "1.2.0")


@pytest.mark.parametrize("version", ["9.9.9", "../1.2.0", "", "1.2.0/app"])
def test_a_version_that_is_not_there_is_a_sentence_with_those_that_are(
    layout: Layout, folder: Path, version: str
) -> None:
    with pytest.raises(Problem, match=re.escape(f"There is no release {version} of svc-cart")):
        releases.ensure(layout, SERVICE, version)


def test_a_folder_that_holds_another_release_is_a_sentence(layout: Layout, folder: Path) -> None:
    (folder / "release.json").write_text(json.dumps({"service": SERVICE, "version": "1.1.0"}))
    with pytest.raises(Problem, match=r"says that it is svc-cart 1\.1\.0"):
        releases.ensure(layout, SERVICE, "1.2.0")


def test_a_record_that_cannot_be_read_is_a_sentence(layout: Layout) -> None:
    releases.records(layout).write_text("{")
    with pytest.raises(Problem, match="it says which releases run"):
        releases.current(layout, SERVICE)
