"""The chart of one service as `make release` packages it: alone, without the tree, with the image of its version."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.support.helm import CHARTS, SERVICES, render
from tests.support.kubernetes import mistakes
from tests.support.values import MINIMAL

ROOT = CHARTS.parents[1]
sys.path.append(str(ROOT / "deploy"))

from release.artefacts import package_chart  # noqa: E402


@pytest.mark.parametrize("chart", [*SERVICES, "gateway"])
def test_a_released_chart_installs_alone_with_the_image_of_its_version(tmp_path: Path, chart: str) -> None:
    package_chart(ROOT, chart, "1.2.3", tmp_path / "chart")

    rendered = render(tmp_path / "chart" / f"{chart}-1.2.3.tgz", MINIMAL[chart])

    images = {container["image"] for pod in rendered.pods.values() for container in pod["containers"]}
    assert images == {f"shop/{chart}:1.2.3"}
    assert not mistakes(rendered.manifests, "1.29")
