from __future__ import annotations

import os
import threading
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

    monkeypatch.setattr(gateway_cache, "VERSION_KEY", f"svc-catalog:test:{uuid7()}")


@pytest.fixture
def stock_of() -> Callable[[UUID], tuple[int, int, int]]:
    """`(on hand, reserved, version)` of a variant as the database has it."""
    from catalog.models import Stock

    def read(variant_id: UUID) -> tuple[int, int, int]:
        row = Stock.objects.get(pk=variant_id)
        return row.on_hand, row.reserved, row.version

    return read


@pytest.fixture
def together() -> Callable[[list[Callable[[], Any]]], list[Any]]:
    """Runs functions at one moment, each in a thread with a database connection of its own.

    Gives their results in order; an exception is a result too.
    """
    from django.db import connection

    def run(functions: list[Callable[[], Any]]) -> list[Any]:
        barrier = threading.Barrier(len(functions))
        results: list[Any] = [None] * len(functions)

        def work(index: int) -> None:
            try:
                connection.ensure_connection()
                barrier.wait(30)
                results[index] = functions[index]()
            except Exception as error:  # noqa: BLE001 - a result like any other
                results[index] = error
            finally:
                connection.close()

        threads = [threading.Thread(target=work, args=(index,)) for index in range(len(functions))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        assert not any(thread.is_alive() for thread in threads), "a thread did not finish"
        return results

    return run
