from __future__ import annotations

from io import StringIO

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.core.management import CommandError, call_command
from effects import event_handlers

from shared_lib.exceptions import ServiceUnavailable


def rebuild(*arguments: str) -> str:
    out = StringIO()
    call_command("rebuild", *arguments, stdout=out)
    return out.getvalue()


@pytest.fixture
def read_models(monkeypatch: pytest.MonkeyPatch) -> dict[str, object]:
    models: dict[str, object] = {}
    monkeypatch.setattr(event_handlers, "READ_MODELS", models, raising=False)
    return models


def test_a_read_model_is_rebuilt_by_its_name(read_models: dict[str, object]) -> None:
    read_models["products"] = lambda: 7
    assert rebuild("products") == "products: 7 read.\n"
    assert rebuild() == "read models of svc-catalog: products\n"


def test_an_unknown_name_is_refused_with_those_that_there_are(read_models: dict[str, object]) -> None:
    with pytest.raises(CommandError, match=r"no read model stock\. It has: none"):
        rebuild("stock")


def test_a_producer_that_is_away_is_named_and_what_was_read_is_kept(read_models: dict[str, object]) -> None:
    def away() -> int:
        raise ServiceUnavailable(reason="svc-orders did not answer")

    read_models["orders"] = away
    with pytest.raises(CommandError, match=r"svc-orders did not answer\. What was read before is kept"):
        rebuild("orders")


def test_a_table_that_is_none_is_named(read_models: dict[str, object]) -> None:
    read_models["orders"] = "orders.rebuild"
    with pytest.raises(ImproperlyConfigured, match="READ_MODELS must be a dict"):
        rebuild("orders")


def test_a_service_without_handlers_has_none(settings: object) -> None:
    settings.EVENT_HANDLERS = ""  # type: ignore[attr-defined]
    assert rebuild() == "read models of svc-catalog: none\n"
