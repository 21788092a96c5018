"""What a release holds, and that it never changes. Git, Django, hatchling and Helm are the real ones."""

from __future__ import annotations

import json
import shutil
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import pytest
import yaml
from conftest import git

import shared_lib
from release import Order, Refused, artefacts, run


def order(tree: Path, service: str = "svc-cart", version: str = "1.2.0", **more: Any) -> Order:
    releases = tree.parent / "releases"
    given = {"running": None, "tested": False, "say": lambda text: None, **more}
    return Order(tree, service, version, releases, **given)


@pytest.fixture(scope="session", autouse=True)
def no_engine() -> None:
    pytest.MonkeyPatch().setattr("release.image.engine_answers", lambda: False)


@pytest.fixture(scope="session")
def made(original: Path) -> Path:
    """svc-cart 1.2.0, released from the tree as it is. Not to be changed."""
    return run(order(original))


@pytest.fixture
def tree(made: Path, original: Path, tmp_path: Path) -> Path:
    """The repository and its releases, for the test to change."""
    shutil.copytree(original.parent, tmp_path, dirs_exist_ok=True)
    return tmp_path / original.name


def commit_more(tree: Path, path: str) -> None:
    with (tree / path).open("a") as file:
        file.write("\n# more\n")
    git(tree, "commit", "-q", "-a", "-m", "more")


def test_a_release_of_a_service_is_all_that_is_needed_to_run_it(original: Path, made: Path) -> None:
    record = json.loads((made / "release.json").read_text())
    files = {path.relative_to(made).as_posix() for path in made.rglob("*") if path.is_file()}
    (wheel,) = (made / "wheels").glob("*.whl")
    assert made == original.parent / "releases" / "svc-cart" / "1.2.0"
    assert {"app/manage.py", "app/cart/models.py", "app/config/wsgi.py", "requirements.lock"} <= files
    assert not [name for name in files if "tests" in Path(name).parts]
    assert (record["service"], record["version"], record["tests"]) == ("svc-cart", "1.2.0", "skipped")
    assert record["dirty"] is False
    assert wheel.name == f"shared_lib-{record['shared_lib']['version']}-py3-none-any.whl"
    assert "shared_lib/outbox/migrations/0001_initial.py" in zipfile.ZipFile(wheel).namelist()


def test_the_manifest_of_a_release_is_what_its_processes_will_tell(made: Path) -> None:
    record = json.loads((made / "release.json").read_text())

    manifest = record["manifest"]
    assert (manifest["service"], manifest["version"]) == ("svc-cart", "1.2.0")
    assert manifest["shared_lib"] == record["shared_lib"]
    assert "thumbnail" in manifest["consumes"]["product.updated.v1"]["needs"]
    assert "variants[].attributes" not in manifest["consumes"]["product.updated.v1"]["needs"]
    assert {"method": "POST", "path": "/api/v1/cart/lines"} in manifest["public"]


def test_the_chart_has_the_version_and_its_library(made: Path) -> None:
    with tarfile.open(made / "chart" / "svc-cart-1.2.0.tgz") as archive:
        chart = yaml.safe_load(archive.extractfile("svc-cart/Chart.yaml").read())  # type: ignore[union-attr]
        names = archive.getnames()
    assert (chart["version"], chart["appVersion"]) == ("1.2.0", "1.2.0")
    assert [name for name in names if name.startswith("svc-cart/charts/service-lib/")]


def test_the_gateway_is_released_as_its_files_and_its_chart(tree: Path) -> None:
    made = run(order(tree, "gateway", "2.0.0"))

    record = json.loads((made / "release.json").read_text())
    assert {path.name for path in made.iterdir()} == {"app", "chart", "release.json"}
    assert (made / "app" / "bin" / "run").stat().st_mode & 0o111
    assert not (made / "app" / "tests").exists()
    assert not (made / "app" / "bench").exists()
    assert record["manifest"]["version"] == "2.0.0"
    assert {"auth": "optional", "method": "GET", "path": "/api/v1/cart", "service": "svc-cart"} in record[
        "manifest"
    ]["routes"]


def test_the_same_release_again_changes_nothing(tree: Path) -> None:
    there = tree.parent / "releases" / "svc-cart" / "1.2.0"
    before = {path: path.stat().st_mtime_ns for path in there.rglob("*")}

    assert run(order(tree)) == there
    assert {path: path.stat().st_mtime_ns for path in there.rglob("*")} == before
    assert [path.name for path in there.parent.iterdir()] == ["1.2.0"]


def test_a_version_never_gets_other_contents(tree: Path) -> None:
    there = tree.parent / "releases" / "svc-cart" / "1.2.0"
    record = (there / "release.json").read_text()
    commit_more(tree, "svc-cart/cart/services/__init__.py")

    with pytest.raises(Refused, match=r"was released already, from commit .* and with other contents"):
        run(order(tree))
    assert (there / "release.json").read_text() == record
    assert [each.name for each in there.parent.iterdir()] == ["1.2.0"]


@pytest.mark.parametrize(
    "path",
    ["shared-lib/src/shared_lib/ids.py", "svc-cart/requirements.lock", "k8s/charts/svc-cart/values.yaml"],
)
def test_everything_that_is_in_a_release_counts_as_its_contents(
    made: Path, tree: Path, path: str, tmp_path: Path
) -> None:
    commit_more(tree, path)
    artefacts.build(tree, "svc-cart", "1.2.0", tmp_path / "again")

    assert artefacts.digest(tmp_path / "again") != artefacts.digest(made)


def test_what_is_not_committed_is_refused_unless_asked_for(tree: Path) -> None:
    (tree / "svc-cart" / "cart" / "new.py").write_text("")

    with pytest.raises(Refused, match=r"svc-cart/cart/new\.py is not committed"):
        run(order(tree, version="1.3.0"))
    assert not (tree.parent / "releases" / "svc-cart" / "1.3.0").exists()

    made = run(order(tree, version="1.3.0", dirty_allowed=True))
    assert (made / "app" / "cart" / "new.py").exists()
    assert json.loads((made / "release.json").read_text())["dirty"] is True


def test_other_contents_of_shared_lib_need_another_version(tree: Path) -> None:
    commit_more(tree, "shared-lib/src/shared_lib/ids.py")

    with pytest.raises(
        Refused, match=r"shared-lib .* is part of svc-cart 1\.2\.0 with other contents: raise its version"
    ):
        run(order(tree, version="1.3.0"))

    for path in ("src/shared_lib/__init__.py", "pyproject.toml"):
        file = tree / "shared-lib" / path
        file.write_text(file.read_text().replace(f'"{shared_lib.__version__}"', '"99.0.0"'))
    git(tree, "commit", "-q", "-a", "-m", "another version")
    made = run(order(tree, version="1.3.0"))
    assert [each.name for each in (made / "wheels").iterdir()] == ["shared_lib-99.0.0-py3-none-any.whl"]


def test_what_runs_is_asked_before_anything_is_made(made: Path, tree: Path) -> None:
    running = json.loads((made / "release.json").read_text())["manifest"]
    running["calls"] = [{"callee": "svc-cart", "endpoint": "GET secrets"}]

    with pytest.raises(
        Refused,
        match=r"svc-orders 1\.2\.0, which runs, would break by GET secrets of svc-cart 1\.3\.0: it is not served",
    ):
        run(order(tree, version="1.3.0", running=[running | {"service": "svc-orders"}]))
    assert [each.name for each in (tree.parent / "releases" / "svc-cart").iterdir()] == ["1.2.0"]

    with pytest.raises(Refused, match=r"VERSION=1\.1\.0 is not above 1\.2\.0, which runs"):
        run(order(tree, version="1.1.0", running=[running]))


def test_a_service_that_is_not_there_is_named(tree: Path) -> None:
    with pytest.raises(Refused, match="SERVICE=svc-card is not in this tree; there are: svc-cart, gateway"):
        run(order(tree, "svc-card"))
