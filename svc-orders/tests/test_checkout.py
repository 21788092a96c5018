from __future__ import annotations

from typing import Any

import pytest

from orders import services
from orders.exceptions import (
    AddressNotServed,
    CartChanged,
    EmptyCart,
    OrderNotPayable,
    OutOfStock,
    PaymentInProgress,
    PriceChanged,
)
from orders.models import CheckoutSaga, Order, OrderStatus
from orders.services.placing import _NUMBER_ALPHABET, new_number
from shared_lib.api.idempotency import IdempotencyInProgress, IdempotencyKeyReused
from shared_lib.contracts.address import Address
from shared_lib.contracts.events import OrderCancelled, OrderPlaced
from shared_lib.exceptions import InvalidValue, ServiceUnavailable
from shared_lib.ids import uuid7
from shared_lib.money import Money
from tests.conftest import Buyer
from tests.messages import payment_processing, payment_succeeded
from tests.shop import ADDRESS, Shop


def test_a_checkout_takes_the_stock_makes_a_payment_and_answers_with_the_order(buyer: Buyer, shop: Shop):
    answer = buyer.place()

    assert shop.calls == ["cart", "reserve", "pay"]
    assert shop.stock[str(buyer.variant)] == 8
    order = buyer.order()
    assert answer["id"] == str(order.id)
    assert answer["status"] == "awaiting_payment"
    assert answer["number"] == order.number
    assert answer["total"] == {"amount": 2 * 1999 + 399, "currency": "USD"}
    payment = buyer.payment()
    assert payment["amount"] == answer["total"]
    assert answer["payment"] == {"id": payment["id"], "status": "requires_payment_method", "action": None}
    assert answer["shipping_address"] == ADDRESS
    assert [entry["status"] for entry in answer["history"]] == ["awaiting_payment"]


def test_the_first_event_of_an_order_has_version_1_and_all_its_lines(buyer: Buyer, published: Any):
    buyer.place()

    (event,) = published(OrderPlaced)
    order = buyer.order()
    assert event.version == order.version == 1
    assert event.order_id == order.id
    assert event.cart_version == 1
    assert event.total == Money(4397, "USD")
    assert event.expires_at == order.expires_at
    (line,) = event.lines
    assert (line.variant_id, line.quantity, line.unit_price) == (buyer.variant, 2, Money(1999, "USD"))


def test_lines_keep_the_order_of_the_cart_whatever_order_the_catalog_answers_in(buyer: Buyer, shop: Shop):
    variants = [shop.sell(price) for price in (300, 100, 200)]
    shop.fill_cart(buyer.id, *((variant, 1) for variant in variants))

    answer = buyer.place()

    assert [line["variant_id"] for line in answer["lines"]] == [str(variant) for variant in variants]


def test_the_same_key_gives_the_same_answer_and_makes_nothing_new(buyer: Buyer, shop: Shop):
    first = buyer.place()
    shop.calls.clear()

    assert buyer.place() == first
    assert shop.calls == []
    assert Order.objects.count() == 1


def test_the_same_key_with_another_body_is_refused(buyer: Buyer):
    buyer.place()

    with pytest.raises(IdempotencyKeyReused):
        buyer.place(body=b"another")


def test_a_key_is_the_users_own(make_buyer: Any):
    make_buyer().place("same")
    make_buyer().place("same")

    assert Order.objects.placed().count() == 2


def test_a_running_checkout_is_told_to_the_second_request_with_its_key(buyer: Buyer, shop: Shop):
    seen: list[type[Exception]] = []

    def again(request: Any) -> None:
        shop.before["reserve"].clear()
        with pytest.raises(IdempotencyInProgress):
            buyer.place()
        with pytest.raises(IdempotencyKeyReused):
            buyer.place(body=b"another")
        seen.append(IdempotencyInProgress)

    shop.before["reserve"].append(again)
    buyer.place()

    assert seen
    assert Order.objects.count() == 1


@pytest.mark.parametrize(
    ("arrange", "error"),
    [
        pytest.param(lambda buyer: buyer.shop.fill_cart(buyer.id), EmptyCart, id="empty cart"),
        pytest.param(lambda buyer: {"cart_version": 7}, CartChanged, id="other cart version"),
        pytest.param(lambda buyer: {"expected_total": Money(1, "USD")}, PriceChanged, id="other total"),
        pytest.param(
            lambda buyer: buyer.shop.stock.update({str(buyer.variant): 1}), OutOfStock, id="short of stock"
        ),
        pytest.param(
            lambda buyer: {"shipping_method": "express"}, InvalidValue, id="method of another country"
        ),
        pytest.param(
            lambda buyer: {"destination": Address(**{**ADDRESS, "country": "FR"})},
            AddressNotServed,
            id="no shipping",
        ),
        pytest.param(lambda buyer: {"destination": uuid7()}, InvalidValue, id="unknown address"),
        pytest.param(
            lambda buyer: setattr(buyer.shop, "refuse_payments", "provider"),
            InvalidValue,
            id="provider refused",
        ),
        pytest.param(
            lambda buyer: setattr(buyer.shop, "refuse_payments", "amount.amount"),
            OrderNotPayable,
            id="sum refused",
        ),
        pytest.param(
            lambda buyer: buyer.shop.take_away("cart") and None, ServiceUnavailable, id="no cart service"
        ),
        pytest.param(
            lambda buyer: buyer.shop.take_away("reserve") and None, ServiceUnavailable, id="no catalog"
        ),
        pytest.param(
            lambda buyer: buyer.shop.take_away("pay") and None, ServiceUnavailable, id="no payments"
        ),
        pytest.param(
            lambda buyer: buyer.shop.lose_answer("reserve"), ServiceUnavailable, id="lost reservation"
        ),
        pytest.param(lambda buyer: buyer.shop.lose_answer("pay"), ServiceUnavailable, id="lost payment"),
    ],
)
def test_a_failure_leaves_no_order_no_stock_taken_no_payment_and_a_free_key(
    buyer: Buyer,
    shop: Shop,
    published: Any,
    monkeypatch: pytest.MonkeyPatch,
    arrange: Any,
    error: type[Exception],
):
    changes = arrange(buyer)
    changes = changes if isinstance(changes, dict) and "lines" not in changes else {}
    stock = shop.stock[str(buyer.variant)]
    if error is ServiceUnavailable:  # one sending a call, so that a lost answer stays lost
        monkeypatch.setattr("orders.clients._reserve", _once(monkeypatch))

    with pytest.raises(error):
        buyer.place(**changes)

    assert not Order.objects.placed().exists()
    assert published(OrderPlaced) == []
    assert shop.stock[str(buyer.variant)] == stock
    assert not shop.reservations
    assert {payment["status"] for payment in shop.payments.values()} <= {"canceled"}
    assert (buyer.saga().step, buyer.saga().key) == ("undone", None)

    shop.before.clear()
    shop.refuse_payments = ""
    shop.stock[str(buyer.variant)] = 10
    shop.fill_cart(buyer.id, (buyer.variant, 2))
    buyer.place()
    assert buyer.order().status == OrderStatus.AWAITING_PAYMENT


def _once(monkeypatch: pytest.MonkeyPatch) -> Any:
    from orders import clients

    original = clients._reserve

    def reserve(request: Any, *, certain: bool) -> Any:
        if not certain:
            raise ServiceUnavailable("The second sending is lost too.")
        return original(request, certain=certain)

    return reserve


def test_a_shortage_names_each_line_and_what_is_left(buyer: Buyer, shop: Shop):
    other = shop.sell(stock=0)
    shop.fill_cart(buyer.id, (buyer.variant, 2), (other, 3))

    with pytest.raises(OutOfStock) as caught:
        buyer.place()

    assert caught.value.extra["lines"] == [{"variant_id": str(other), "requested": 3, "available": 0}]


def test_a_certain_shortage_costs_no_further_call(buyer: Buyer, shop: Shop):
    shop.stock[str(buyer.variant)] = 0

    with pytest.raises(OutOfStock):
        buyer.place()

    assert shop.calls == ["cart", "reserve"]


def test_a_shortage_after_a_lost_answer_is_not_certain_and_is_undone(buyer: Buyer, shop: Shop):
    def lose_and_sell_out(request: Any) -> None:
        import httpx

        shop.before["reserve"].clear()
        shop.stock[str(buyer.variant)] = 0
        raise httpx.ReadTimeout("no answer", request=request)

    shop.before["reserve"].append(lose_and_sell_out)
    with pytest.raises(OutOfStock):
        buyer.place()

    assert shop.calls == ["cart", "reserve", "reserve", "release"]


def test_a_changed_price_comes_with_the_new_totals(buyer: Buyer):
    with pytest.raises(PriceChanged) as caught:
        buyer.place(expected_total=Money(4000, "USD"))

    assert caught.value.extra["total"] == {"amount": 4397, "currency": "USD"}
    assert caught.value.extra["shipping"] == {"amount": 399, "currency": "USD"}


def test_the_expected_total_and_cart_version_let_the_order_through_when_they_are_right(buyer: Buyer):
    buyer.place(expected_total=Money(4397, "USD"), cart_version=1)

    assert buyer.order().total_amount == 4397


def test_an_address_of_the_book_is_copied_into_the_order(buyer: Buyer, shop: Shop):
    address_id = shop.add_address(buyer.id, line2="Flat 4")

    answer = buyer.place(destination=address_id)

    assert answer["shipping_address"] == {**ADDRESS, "line2": "Flat 4"}


def test_tax_is_added_on_top_in_the_us(buyer: Buyer):
    answer = buyer.place(destination=Address(**{**ADDRESS, "country": "US"}), shipping_method="express")

    assert answer["tax"]["amount"] == 280  # 7 % of 39.98
    assert answer["tax_included"]["amount"] == 0
    assert answer["total"]["amount"] == 3998 + 1999 + 280


def test_a_price_in_another_currency_is_never_ordered(
    buyer: Buyer, shop: Shop, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("tests.shop.USD", "EUR")

    with pytest.raises(ValueError, match="EUR"):
        buyer.place()

    assert not shop.reservations


def test_an_order_number_that_is_taken_is_drawn_again(make_buyer: Any, monkeypatch: pytest.MonkeyPatch):
    numbers = ["AAAAA-AAAAA", "AAAAA-AAAAA", "BBBBB-BBBBB"]
    monkeypatch.setattr("orders.services.placing.new_number", lambda: numbers.pop(0))

    make_buyer().place()
    answer = make_buyer().place()

    assert answer["number"] == "BBBBB-BBBBB"
    assert Order.objects.get(id=answer["id"]).number == "BBBBB-BBBBB"


def test_order_numbers_are_random_and_can_be_read_aloud():
    numbers = {new_number() for _ in range(1000)}

    assert len(numbers) == 1000
    assert set("".join(numbers)) <= {*_NUMBER_ALPHABET, "-"}
    assert not set(_NUMBER_ALPHABET) & set("01IOL")


def test_a_new_order_of_the_same_cart_cancels_the_unpaid_one_first(buyer: Buyer, shop: Shop, published: Any):
    first = buyer.place("key-1")
    shop.calls.clear()

    second = buyer.place("key-2")

    assert shop.calls == ["cart", "cancel", "release", "reserve", "pay"]
    orders = {str(order.id): order.status for order in Order.objects.placed()}
    assert orders == {first["id"]: "cancelled", second["id"]: "awaiting_payment"}
    assert shop.payments[first["payment"]["id"]]["status"] == "canceled"
    (cancelled,) = published(OrderCancelled)
    assert (cancelled.reason, cancelled.was_confirmed) == ("replaced", False)


def test_the_last_unit_can_be_ordered_again_by_who_holds_it(make_buyer: Any, shop: Shop):
    buyer = make_buyer(shop.sell(stock=2))
    buyer.place("key-1")

    assert buyer.place("key-2")["status"] == "awaiting_payment"


def test_a_cart_whose_order_is_being_paid_is_not_ordered_a_second_time(
    buyer: Buyer, shop: Shop, deliver: Any
):
    buyer.place("key-1")
    deliver(payment_processing(shop.move_payment(buyer.order().payment_id, "processing")))

    with pytest.raises(PaymentInProgress):
        buyer.place("key-2")

    assert buyer.order().payment_status == "processing"
    assert len(shop.reservations) == 1


def test_a_payment_that_turns_out_to_have_succeeded_confirms_the_earlier_order(buyer: Buyer, shop: Shop):
    buyer.place("key-1")
    shop.move_payment(buyer.order().payment_id, "succeeded")

    with pytest.raises(CartChanged):
        buyer.place("key-2")

    assert buyer.order().status == "confirmed"


def test_a_paid_cart_that_svc_cart_has_not_emptied_yet_is_not_ordered_again(paid: Buyer):
    with pytest.raises(CartChanged):
        paid.place("key-2")

    assert paid.order().status == "confirmed"


def test_a_cart_that_was_changed_meanwhile_can_be_ordered_beside_one_being_paid(
    buyer: Buyer, shop: Shop, deliver: Any
):
    buyer.place("key-1")
    deliver(payment_processing(shop.move_payment(buyer.order().payment_id, "processing")))
    shop.fill_cart(buyer.id, (shop.sell(), 1))

    buyer.place("key-2")

    assert Order.objects.placed().filter(status="awaiting_payment").count() == 2


def test_an_order_is_not_lost_when_the_payment_is_paid_right_after_the_answer(
    buyer: Buyer, shop: Shop, deliver: Any
):
    buyer.place()
    deliver(payment_succeeded(shop.move_payment(buyer.order().payment_id, "succeeded")))

    answer = buyer.place()

    assert answer["status"] == "awaiting_payment"  # the answer that was given, not the order as it is now
    assert buyer.order().status == "confirmed"


def test_a_checkout_needs_few_queries(buyer: Buyer, django_assert_num_queries: Any):
    # Three transactions of 4, 3 and 8 statements, BEGIN and COMMIT among them, and two look-ups.
    with django_assert_num_queries(17):
        buyer.place()


def test_a_quote_says_what_an_order_would_cost_and_takes_nothing(buyer: Buyer, shop: Shop):
    request = services.CheckoutRequest(shipping_method="standard", destination=Address(**ADDRESS))

    quote = services.quote_order(user_id=buyer.id, request=request)

    assert shop.calls == ["cart", "variants"]
    assert not CheckoutSaga.objects.exists()
    answer = buyer.place()
    for name in ("subtotal", "discount", "shipping", "tax", "tax_included", "total"):
        assert quote[name] == answer[name]
    assert [{**line, "variant_id": str(line["variant_id"])} for line in quote["lines"]] == answer["lines"]
    assert quote["cart_version"] == 1


def test_a_quote_of_what_is_not_there_says_so(buyer: Buyer, shop: Shop):
    gone = uuid7()
    shop.stock[str(buyer.variant)] = 1
    shop.fill_cart(buyer.id, (buyer.variant, 2), (gone, 1))
    request = services.CheckoutRequest(shipping_method="standard", destination=Address(**ADDRESS))

    with pytest.raises(OutOfStock) as caught:
        services.quote_order(user_id=buyer.id, request=request)

    assert caught.value.extra["lines"] == [
        {"variant_id": str(buyer.variant), "requested": 2, "available": 1},
        {"variant_id": str(gone), "requested": 1, "available": 0},
    ]
