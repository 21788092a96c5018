"""The charts as files: each stands a strict lint by itself, and those of services are the same but for their values."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import yaml
from schema import generate

from tests.support.helm import APPLICATIONS, CHARTS, SERVICES, Folder
from tests.support.kubernetes import VERSIONS
from tests.support.values import EVERYTHING, MINIMAL


@pytest.mark.parametrize("kube", ["1.20", *VERSIONS])
@pytest.mark.parametrize("chart", APPLICATIONS)
def test_every_chart_stands_a_strict_lint(charts: Folder, chart: str, kube: str) -> None:
    assert not charts.lint(chart, MINIMAL[chart], kube)
    assert not charts.lint(chart, EVERYTHING[chart], kube)


def test_the_library_stands_a_strict_lint(charts: Folder) -> None:
    assert not charts.lint("service-lib")


def test_the_lint_of_a_chart_finds_a_broken_template(charts: Folder, tmp_path: Path) -> None:
    broken = Folder.__new__(Folder)
    broken.path = tmp_path / "charts"
    shutil.copytree(charts.path, broken.path)
    template = broken.path / "svc-cart" / "templates" / "service.yaml"
    template.write_text(template.read_text() + '{{ include "service-lib.nothing" . }}\n')

    (first, *_) = broken.lint("svc-cart", MINIMAL["svc-cart"])

    assert "service-lib.nothing" in first


def test_every_folder_of_charts_is_tested() -> None:
    assert {path.name for path in CHARTS.iterdir()} == {*APPLICATIONS, "service-lib"}


def test_every_service_of_the_tree_has_a_chart() -> None:
    root = CHARTS.parents[1]

    assert {path.parent.name for path in root.glob("svc-*/manage.py")} == set(SERVICES)


@pytest.mark.parametrize("service", SERVICES)
def test_the_templates_of_a_service_are_one_line_each(service: str) -> None:
    templates = {path.name: path.read_text() for path in (CHARTS / service / "templates").iterdir()}

    assert templates == {
        "service.yaml": '{{ include "service-lib.service" . }}\n',
        "NOTES.txt": '{{ include "service-lib.notes" . }}\n',
    }


@pytest.mark.parametrize("service", SERVICES)
def test_the_charts_of_services_differ_in_their_names_and_values_only(service: str) -> None:
    files = {
        str(path.relative_to(CHARTS / service)) for path in (CHARTS / service).rglob("*") if path.is_file()
    }
    files = {name for name in files if not name.startswith("charts/") and name != "Chart.lock"}
    mine, first = (
        yaml.safe_load((CHARTS / name / "Chart.yaml").read_text()) for name in (service, SERVICES[0])
    )
    own = {"name", "description", "version", "appVersion"}

    assert files == {
        "Chart.yaml",
        "values.yaml",
        "values.schema.json",
        "templates/service.yaml",
        "templates/NOTES.txt",
    }
    assert mine["name"] == service
    assert {key: value for key, value in mine.items() if key not in own} == {
        key: value for key, value in first.items() if key not in own
    }


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_repeats_no_default(service: str) -> None:
    defaults = yaml.safe_load((CHARTS / "service-lib" / "values.yaml").read_text())["exports"]
    own = yaml.safe_load((CHARTS / service / "values.yaml").read_text())

    assert set(own) <= {"secrets", "settings", "networkPolicy", "media"}
    assert set(own.get("secrets", {}).get("env", {})).isdisjoint(defaults["service"]["secrets"]["env"])
    assert set(own.get("secrets", {}).get("files", {})).isdisjoint(defaults["service"]["secrets"]["files"])


def test_the_schemas_are_what_their_source_says() -> None:
    differing = [
        path for path, text in generate.schemas().items() if path.read_text(encoding="utf-8") != text
    ]

    assert not differing, "run k8s/schema/generate.py"


def test_the_umbrella_holds_every_chart_that_runs_something() -> None:
    umbrella = yaml.safe_load((CHARTS / "shop" / "Chart.yaml").read_text())
    values = yaml.safe_load((CHARTS / "shop" / "values.yaml").read_text())

    assert {one["name"] for one in umbrella["dependencies"]} == {*SERVICES, "gateway"}
    assert all(one["condition"] == f"install.{one['name']}" for one in umbrella["dependencies"])
    assert values["install"] == dict.fromkeys(("gateway", *SERVICES), True)
