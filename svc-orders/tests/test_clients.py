from __future__ import annotations

from typing import Any

import httpx
import pytest
import stamina

from orders import clients
from shared_lib.contracts.internal.payments import PaymentRequest, RefundRequest
from shared_lib.exceptions import ServiceUnavailable, UpstreamProblem
from shared_lib.ids import uuid7
from shared_lib.money import Money

REQUEST = PaymentRequest(payment_id=uuid7(), order_id=uuid7(), user_id=uuid7(), amount=Money(100, "USD"))
PAYMENT = {
    "id": str(REQUEST.payment_id),
    "order_id": str(REQUEST.order_id),
    "user_id": str(REQUEST.user_id),
    "version": 1,
    "status": "requires_payment_method",
    "amount": {"amount": 100, "currency": "USD"},
    "refunded": {"amount": 0, "currency": "USD"},
    "provider": "sandbox",
    "action": None,
}


def test_a_payment_is_asked_for_with_the_id_that_was_made_here(upstream: Any):
    upstream("svc-payments", "POST", "/internal/v1/payments", lambda request: (201, PAYMENT))

    payment = clients.create_payment(REQUEST)

    assert payment.id == REQUEST.payment_id
    (call,) = upstream.calls
    assert call.json == {
        "payment_id": str(REQUEST.payment_id),
        "order_id": str(REQUEST.order_id),
        "user_id": str(REQUEST.user_id),
        "amount": {"amount": 100, "currency": "USD"},
        "provider": None,
    }
    assert call.headers["Authorization"].startswith("Bearer ")


def test_a_payment_whose_answer_is_lost_is_asked_for_again(upstream: Any):
    stamina.set_testing(True, attempts=2)
    answers = [httpx.ReadTimeout("lost"), (200, PAYMENT)]

    def answer(request: httpx.Request) -> Any:
        given = answers.pop(0)
        if isinstance(given, Exception):
            raise given
        return given

    upstream("svc-payments", "POST", "/internal/v1/payments", answer)

    assert clients.create_payment(REQUEST).status == "requires_payment_method"
    assert len(upstream.calls) == 2


def test_a_refused_payment_says_why(upstream: Any):
    problem = {
        "code": "validation_failed",
        "detail": "This shop does not offer that payment provider.",
        "errors": [{"field": "provider", "code": "invalid", "detail": "This shop does not offer that."}],
    }
    upstream("svc-payments", "POST", "/internal/v1/payments", lambda request: (422, problem))

    with pytest.raises(clients.PaymentRefused) as caught:
        clients.create_payment(REQUEST)

    assert caught.value.field == "provider"
    assert caught.value.detail == "This shop does not offer that payment provider."


def test_a_service_that_does_not_let_us_in_is_no_refusal(upstream: Any):
    upstream("svc-payments", "POST", "/internal/v1/*", lambda request: (403, {"code": "permission_denied"}))

    with pytest.raises(UpstreamProblem):
        clients.create_payment(REQUEST)
    with pytest.raises(UpstreamProblem):
        clients.refund_payment(
            payment_id=uuid7(),
            request=RefundRequest(refund_id=uuid7(), amount=Money(1, "USD"), reason="buyer"),
        )


def test_an_unknown_payment_counts_as_cancelled(upstream: Any):
    upstream("svc-payments", "POST", "/internal/v1/*", lambda request: (404, {"code": "not_found"}))

    assert clients.cancel_payment(uuid7()) is None


def test_an_address_that_is_not_in_the_book_is_none(upstream: Any):
    upstream("svc-accounts", "GET", "/internal/v1/*", lambda request: (404, {"code": "not_found"}))

    assert clients.get_address(user_id=uuid7(), address_id=uuid7()) is None


def test_a_reservation_is_sent_a_second_time_when_its_answer_is_lost(upstream: Any):
    order_id = uuid7()
    reservation = {"order_id": str(order_id), "lines": [], "expires_at": "2030-01-01T00:00:00Z"}
    answers = [503, 200]
    upstream(
        "svc-catalog", "POST", "/internal/v1/reservations", lambda request: (answers.pop(0), reservation)
    )

    assert clients.reserve(order_id=order_id, lines=[]).order_id == order_id
    assert len(upstream.calls) == 2


def test_a_shortage_after_a_lost_answer_is_not_certain(upstream: Any):
    lines = [{"variant_id": str(uuid7()), "requested": 2, "available": 1}]
    problem = {"code": "out_of_stock", "lines": lines}
    answers = [(503, {}), (409, problem), (409, problem)]
    upstream("svc-catalog", "POST", "/internal/v1/reservations", lambda request: answers.pop(0))

    for certain in (False, True):
        with pytest.raises(clients.ShortOfStock) as caught:
            clients.reserve(order_id=uuid7(), lines=[])
        assert caught.value.certain is certain
        assert caught.value.lines[0].available == 1


def test_a_catalog_that_cannot_be_reached_is_not_asked_twice(upstream: Any):
    def refuse(request: httpx.Request) -> Any:
        raise httpx.ConnectError("refused")

    upstream("svc-catalog", "POST", "/internal/v1/reservations", refuse)

    with pytest.raises(ServiceUnavailable):
        clients.reserve(order_id=uuid7(), lines=[])

    assert len(upstream.calls) == 1


def test_a_closed_reservation_asks_the_buyer_to_try_again(upstream: Any):
    upstream(
        "svc-catalog",
        "POST",
        "/internal/v1/reservations",
        lambda request: (409, {"code": "reservation_closed"}),
    )

    with pytest.raises(ServiceUnavailable):
        clients.reserve(order_id=uuid7(), lines=[])
