from __future__ import annotations

from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured
from effects.event_handlers import EVENT_HANDLERS

from shared_lib.contracts.events import CONTRACTS, SERVICES, Event, OrderPlaced, StockChanged
from shared_lib.contracts.subscriptions import SUBSCRIPTIONS, produced_types, subscribed_types, subscribers
from shared_lib.events import replayable
from shared_lib.events.checks import check_event_handlers
from shared_lib.events.handlers import is_replayable, load_handlers


def test_every_service_has_a_row_and_no_event_stands_in_it_twice() -> None:
    assert set(SUBSCRIPTIONS) == set(SERVICES)
    for contracts in SUBSCRIPTIONS.values():
        assert len(set(contracts)) == len(contracts)
        assert all(CONTRACTS[contract.event_type] is contract for contract in contracts)


def test_producers_and_consumers_are_read_from_the_contracts() -> None:
    assert subscribers("order.confirmed.v1") == ("svc-catalog", "svc-cart", "svc-notifications")
    assert subscribers("stock.low.v1") == ()
    assert "order.confirmed.v1" in produced_types("svc-orders")
    assert subscribed_types("svc-accounts") == {"session.revoked.v1"}


def test_handlers_that_equal_the_row_pass_the_check_and_are_found_by_type() -> None:
    assert check_event_handlers() == []
    assert load_handlers() == {contract.event_type: handler for contract, handler in EVENT_HANDLERS.items()}


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (
            {OrderPlaced: print},
            "svc-catalog has a handler for order.placed.v1, which is missing from its row",
        ),
        ({StockChanged: None}, "The handler of stock.changed.v1 is not callable"),
        ({"stock.changed.v1": print}, "'stock.changed.v1', which is not an event contract"),
        ({Event: print}, "is not an event contract"),
    ],
)
def test_a_wrong_table_is_named_by_the_check(
    change: dict[Any, Any], sentence: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("effects.event_handlers.EVENT_HANDLERS", {**EVENT_HANDLERS, **change})
    assert sentence in " ".join(error.msg for error in check_event_handlers())
    with pytest.raises(ImproperlyConfigured, match=r"event|handler"):
        load_handlers()


def test_a_missing_handler_is_named_by_the_check(monkeypatch: pytest.MonkeyPatch) -> None:
    table = {
        contract: handler for contract, handler in EVENT_HANDLERS.items() if contract is not StockChanged
    }
    monkeypatch.setattr("effects.event_handlers.EVENT_HANDLERS", table)
    (error,) = check_event_handlers()
    assert "svc-catalog is said to consume stock.changed.v1" in error.msg


def test_a_path_that_leads_nowhere_is_named_by_the_check(settings: Any) -> None:
    settings.EVENT_HANDLERS = "effects.nowhere.EVENT_HANDLERS"
    (error,) = check_event_handlers()
    assert "effects.nowhere.EVENT_HANDLERS" in error.msg


def test_a_service_that_consumes_needs_handlers(settings: Any) -> None:
    settings.EVENT_HANDLERS = ""
    assert len(check_event_handlers()) == len(SUBSCRIPTIONS["svc-catalog"])


def test_a_service_that_consumes_nothing_needs_none(settings: Any) -> None:
    settings.SERVICE_NAME, settings.EVENT_HANDLERS = "svc-payments", ""
    assert check_event_handlers() == []
    assert load_handlers() == {}


def test_only_marked_handlers_are_replayable() -> None:
    @replayable
    def marked(event: Event) -> None: ...

    def plain(event: Event) -> None: ...

    assert is_replayable(marked)
    assert not is_replayable(plain)
