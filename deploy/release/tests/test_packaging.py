"""What a release holds, and that it never changes. Git, hatchling and Helm are the real ones."""

from __future__ import annotations

import json
import tarfile
import zipfile
from pathlib import Path

import pytest
import yaml
from conftest import git

from release import Order, Refused, run


def order(tree: Path, service: str = "svc-cart", version: str = "1.2.0", **more: object) -> Order:
    releases = tree.parent / "releases"
    return Order(tree, service, version, releases, tested=False, say=lambda text: None, **more)  # type: ignore[arg-type]


@pytest.fixture(autouse=True)
def no_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("release.image.engine_answers", lambda: False)


def test_a_release_of_a_service_is_all_that_is_needed_to_run_it(tree: Path) -> None:
    made = run(order(tree))

    record = json.loads((made / "release.json").read_text())
    files = {path.relative_to(made).as_posix() for path in made.rglob("*") if path.is_file()}
    (wheel,) = (made / "wheels").glob("*.whl")
    assert made == tree.parent / "releases" / "svc-cart" / "1.2.0"
    assert {"app/manage.py", "app/cart/models.py", "app/config/wsgi.py", "requirements.lock"} <= files
    assert not [name for name in files if "tests" in Path(name).parts]
    assert record["service"] == "svc-cart"
    assert record["version"] == "1.2.0"
    assert record["dirty"] is False
    assert record["tests"] == "skipped"
    assert wheel.name == f"shared_lib-{record['shared_lib']['version']}-py3-none-any.whl"
    assert "shared_lib/outbox/migrations/0001_initial.py" in zipfile.ZipFile(wheel).namelist()


def test_the_chart_has_the_version_and_its_library(tree: Path) -> None:
    made = run(order(tree))

    with tarfile.open(made / "chart" / "svc-cart-1.2.0.tgz") as archive:
        chart = yaml.safe_load(archive.extractfile("svc-cart/Chart.yaml").read())  # type: ignore[union-attr]
        names = archive.getnames()
    assert (chart["version"], chart["appVersion"]) == ("1.2.0", "1.2.0")
    assert [name for name in names if name.startswith("svc-cart/charts/service-lib/")]


def test_the_gateway_is_released_as_its_files_and_its_chart(tree: Path) -> None:
    made = run(order(tree, "gateway", "2.0.0"))

    assert {path.name for path in made.iterdir()} == {"app", "chart", "release.json"}
    assert (made / "app" / "bin" / "run").stat().st_mode & 0o111
    assert not (made / "app" / "tests").exists()
    assert not (made / "app" / "bench").exists()


def test_the_same_release_again_changes_nothing(tree: Path) -> None:
    made = run(order(tree))
    before = {path: path.stat().st_mtime_ns for path in made.rglob("*")}

    assert run(order(tree)) == made
    assert {path: path.stat().st_mtime_ns for path in made.rglob("*")} == before
    assert [path.name for path in made.parent.iterdir()] == ["1.2.0"]


@pytest.mark.parametrize(
    "path",
    ["svc-cart/cart/services/__init__.py", "shared-lib/src/shared_lib/ids.py", "svc-cart/requirements.lock"],
)
def test_a_version_never_gets_other_contents(tree: Path, path: str) -> None:
    made = run(order(tree))
    record = (made / "release.json").read_text()
    with (tree / path).open("a") as file:
        file.write("\n# more\n")
    git(tree, "commit", "-q", "-a", "-m", "more")

    with pytest.raises(Refused, match=r"was released already, from commit .* and with other contents"):
        run(order(tree))
    assert (made / "release.json").read_text() == record
    assert [each.name for each in made.parent.iterdir()] == ["1.2.0"]


def test_what_is_not_committed_is_refused_unless_asked_for(tree: Path) -> None:
    (tree / "svc-cart" / "cart" / "new.py").write_text("")

    with pytest.raises(Refused, match=r"svc-cart/cart/new\.py is not committed"):
        run(order(tree))
    assert not (tree.parent / "releases").exists()

    made = run(order(tree, dirty_allowed=True))
    assert (made / "app" / "cart" / "new.py").exists()
    assert json.loads((made / "release.json").read_text())["dirty"] is True


def test_a_service_that_is_not_there_is_named(tree: Path) -> None:
    with pytest.raises(Refused, match="SERVICE=svc-card is not in this tree; there are: svc-cart, gateway"):
        run(order(tree, "svc-card"))
