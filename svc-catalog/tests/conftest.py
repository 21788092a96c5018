from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest

os.environ.setdefault("MEDIA_ROOT", "/nonexistent")


@pytest.fixture(autouse=True)
def _media(settings: Any, tmp_path: Any) -> None:
    settings.MEDIA_ROOT = str(tmp_path / "media")


@pytest.fixture(autouse=True)
def _own_gateway_key(monkeypatch: pytest.MonkeyPatch) -> None:
    """A key of its own, so that tests that run side by side on one Redis do not count each other's renewals."""
    from catalog.services import gateway_cache
    from shared_lib.ids import uuid7

    monkeypatch.setattr(gateway_cache, "PREFIX", f"svc-catalog:test:{uuid7()}")


@pytest.fixture
def stock_of() -> Callable[[UUID], tuple[int, int, int]]:
    """`(on hand, reserved, version)` of a variant as the database has it."""
    from catalog.models import Stock

    def read(variant_id: UUID) -> tuple[int, int, int]:
        row = Stock.objects.get(pk=variant_id)
        return row.on_hand, row.reserved, row.version

    return read
