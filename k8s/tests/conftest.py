from __future__ import annotations

import pytest

from tests.support.helm import Folder, Rendered
from tests.support.values import EVERYTHING, MINIMAL


@pytest.fixture(scope="session")
def charts(tmp_path_factory: pytest.TempPathFactory) -> Folder:
    return Folder(tmp_path_factory.mktemp("charts"))


@pytest.fixture(scope="session")
def minimal(charts: Folder) -> dict[str, Rendered]:
    """Every chart with the least values."""
    return {chart: charts.render(chart, values) for chart, values in MINIMAL.items()}


@pytest.fixture(scope="session")
def everything(charts: Folder) -> dict[str, Rendered]:
    """Every chart with everything on."""
    return {chart: charts.render(chart, values) for chart, values in EVERYTHING.items()}
