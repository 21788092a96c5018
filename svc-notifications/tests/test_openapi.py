from __future__ import annotations

from typing import Any

import pytest
from drf_spectacular.drainage import GENERATOR_STATS
from drf_spectacular.generators import SchemaGenerator


@pytest.fixture(scope="module")
def schema() -> Any:
    GENERATOR_STATS.reset()
    return SchemaGenerator().get_schema(request=None, public=True)


def test_the_description_is_made_without_a_warning(schema: Any) -> None:
    assert schema["paths"]
    assert not GENERATOR_STATS


def test_every_operation_has_its_name(schema: Any) -> None:
    operations = {
        operation["operationId"] for path in schema["paths"].values() for operation in path.values()
    }
    assert operations == {
        "notifications_list",
        "notifications_read",
        "notifications_read_all",
    }


def test_internal_paths_are_not_described(schema: Any) -> None:
    assert all(path.startswith("/api/v1/notifications") for path in schema["paths"])
