"""event_handlers, through the real inbox, with messages written by hand."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any
from uuid import UUID

import pytest
import redis

from catalog.models import Reservation, StockMovement, StockShortage, Variant
from catalog.services import gateway_cache
from catalog.services.reservations import reserve
from shared_lib.cache import redis_client
from shared_lib.contracts.events import StockChanged
from shared_lib.contracts.events import StockShortage as StockShortageEvent
from shared_lib.contracts.internal.catalog import ReservationLineRequest
from tests import messages
from tests.factories import make_product, new_id, variant_of

pytestmark = pytest.mark.django_db


def line_of(variant: Variant, quantity: int) -> dict[str, Any]:
    return messages.line(variant.pk, variant.product_id, quantity)


def hold(variant: Variant, quantity: int) -> None:
    reserve(
        order_id=UUID(messages.ORDER),
        lines=[ReservationLineRequest(variant_id=variant.pk, quantity=quantity)],
    )


def test_a_confirmed_order_sells_what_it_holds(deliver: Any, stock_of: Any, published: Any) -> None:
    variant = variant_of(make_product(stock=[5]))
    hold(variant, 2)

    deliver(messages.order_confirmed(2, line_of(variant, 2)))

    assert stock_of(variant.pk) == (3, 0, 3)
    assert [(event.version, event.available) for event in published(StockChanged)] == [(2, 3), (3, 3)]


def test_the_same_message_twice_sells_once(deliver: Any, stock_of: Any) -> None:
    variant = variant_of(make_product(stock=[5]))
    hold(variant, 2)
    message = messages.order_confirmed(2, line_of(variant, 2))

    [event_id] = deliver(message)
    deliver(message, again=event_id)
    deliver(message)  # the same fact under another id

    assert stock_of(variant.pk) == (3, 0, 3)


def test_a_cancelled_order_frees_what_it_holds(deliver: Any, stock_of: Any) -> None:
    variant = variant_of(make_product(stock=[5]))
    hold(variant, 2)

    deliver(messages.order_cancelled(2, line_of(variant, 2), was_confirmed=False))

    assert stock_of(variant.pk) == (5, 0, 3)


def test_confirmed_and_cancelled_in_one_batch_or_turned_round_end_alike(deliver: Any, stock_of: Any) -> None:
    variant = variant_of(make_product(stock=[5]))
    hold(variant, 2)
    confirmed = messages.order_confirmed(2, line_of(variant, 2))
    cancelled = messages.order_cancelled(3, line_of(variant, 2), was_confirmed=True)

    deliver(cancelled, confirmed)

    assert stock_of(variant.pk)[:2] == (5, 0)
    assert Reservation.objects.get().status == "released"


def test_a_confirmation_without_stock_is_told_and_not_tried_again(deliver: Any, published: Any) -> None:
    variant = variant_of(make_product(stock=[1]))
    message = messages.order_confirmed(2, line_of(variant, 2))

    [event_id] = deliver(message)
    deliver(message, again=event_id)
    deliver(message)

    assert StockShortage.objects.get().order_id == UUID(messages.ORDER)
    [event] = published(StockShortageEvent)
    assert (event.order_id, [(line.variant_id, line.product_id, line.missing) for line in event.lines]) == (
        UUID(messages.ORDER),
        [(variant.pk, variant.product_id, 1)],
    )


def test_a_return_is_on_hand_again(deliver: Any, stock_of: Any) -> None:
    variant = variant_of(make_product(stock=[5]))

    deliver(messages.return_received(7, line_of(variant, 1), line_of(variant, 1)))

    assert stock_of(variant.pk) == (7, 0, 2)
    movement = StockMovement.objects.get(kind="returned")
    assert (movement.reference, movement.on_hand_delta) == (UUID(messages.RETURN), 2)


def test_a_return_told_again_under_another_id_adds_once(deliver: Any, stock_of: Any) -> None:
    variant = variant_of(make_product(stock=[5]))
    message = messages.return_received(7, line_of(variant, 1))

    deliver(message, message)
    deliver(message)

    assert stock_of(variant.pk) == (6, 0, 2)


def test_a_return_of_a_variant_that_was_never_here_is_kept_as_a_failure(deliver: Any) -> None:
    with pytest.raises(AssertionError, match="never here"):
        deliver(messages.return_received(7, messages.line(new_id(), new_id(), 1)))


@pytest.fixture
def told() -> Iterator[Callable[[], tuple[int, int, dict[str, int]]]]:
    """What gateways can read: version of lists, highest version of products, version by id or slug."""
    prefix, client = gateway_cache.PREFIX, redis_client()

    def read() -> tuple[int, int, dict[str, int]]:
        lists, products = (
            int(client.get(f"{prefix}:{name}") or 0) for name in ("catalog", "products:version")
        )
        rows: Any = client.zrange(f"{prefix}:products", 0, -1, withscores=True)
        return lists, products, {name.decode(): int(version) for name, version in rows}

    keys = [f"{prefix}:{name}" for name in ("catalog", "products", "products:version", "sold-out")]
    # Tests that roll back leave behind what their transactions would have told.
    gateway_cache._waiting.changes = None
    client.delete(*keys)
    yield read
    client.delete(*keys)


@pytest.mark.django_db(transaction=True)
def test_a_changed_product_renews_lists_and_its_own_page_under_both_names(deliver: Any, told: Any) -> None:
    product = make_product(stock=[5])
    deliver(messages.product("product.updated.v1", product_id=str(product.pk)))
    assert told() == (1, 2, {product.pk.hex: 2, product.slug: 2})


@pytest.mark.django_db(transaction=True)
def test_stock_renews_the_page_of_its_product_and_lists_only_when_it_ran_out_or_came_back(
    deliver: Any, told: Any
) -> None:
    product = make_product(stock=[5])
    variant = variant_of(product)
    seen = []
    for version, available in enumerate((4, 0, 0, 3, 2), start=2):
        deliver(messages.stock_changed(version, variant.pk, product.pk, available))
        seen.append(told()[0])
    assert seen == [0, 1, 1, 2, 2]
    assert told()[2] == {product.pk.hex: 10, product.slug: 10}


@pytest.mark.django_db(transaction=True)
def test_the_events_of_a_batch_renew_the_gateways_cache_once(deliver: Any, told: Any) -> None:
    deliver(
        messages.STOCK_CHANGED,
        messages.product("product.published.v1"),
        messages.product("product.updated.v1"),
        messages.PRODUCT_ARCHIVED,
    )
    assert told()[0] == 1


@pytest.mark.django_db(transaction=True)
def test_without_redis_events_are_consumed_all_the_same_and_told_with_the_next(
    deliver: Any, told: Any, monkeypatch: Any
) -> None:
    class Away:
        def eval(self, *_: Any) -> int:
            raise redis.ConnectionError("nobody there")

    one, other = make_product(stock=[5]), make_product(stock=[5])
    with monkeypatch.context() as patched:
        patched.setattr(gateway_cache, "redis_client", Away)
        deliver(messages.stock_changed(2, variant_of(one).pk, one.pk, 4))
    deliver(messages.stock_changed(2, variant_of(other).pk, other.pk, 4))

    assert {one.slug, other.slug} <= told()[2].keys()


@pytest.mark.django_db(transaction=True)
def test_of_many_changed_products_the_latest_are_kept(deliver: Any, told: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr(gateway_cache, "KEPT", 2)
    for product in [make_product(stock=[5]) for _ in range(3)]:
        deliver(messages.stock_changed(2, variant_of(product).pk, product.pk, 4))
    assert told()[1] == 6
    assert told()[2] == {product.pk.hex: 6, product.slug: 6}
