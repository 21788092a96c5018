"""What svc-orders calls, by the contract."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from django.db import IntegrityError, transaction

from payments.models import LedgerTransaction, Payment, PaymentTombstone
from shared_lib.contracts.events import PaymentSucceeded
from shared_lib.contracts.internal import payments as contract
from shared_lib.ids import uuid7
from tests.factories import confirm, new_payment, paid_payment, usd

pytestmark = pytest.mark.django_db

URL = "/internal/v1/payments"


@pytest.fixture
def orders(internal: Any) -> Any:
    return internal("svc-orders")


def a_request(**values: Any) -> dict[str, Any]:
    return {
        "payment_id": str(uuid7()),
        "order_id": str(uuid7()),
        "user_id": str(uuid7()),
        "amount": {"amount": 1999, "currency": "USD"},
        "provider": None,
        **values,
    }


def read(answer: Any, kind: Any) -> Any:
    return msgspec.json.decode(answer.content, type=kind)


def test_a_payment_is_made_once(orders: Any, django_assert_max_num_queries: Any) -> None:
    body = a_request()
    with django_assert_max_num_queries(5):
        first = orders.post(URL, body)
    assert first.status_code == 201
    payment = read(first, contract.Payment)
    assert (str(payment.id), payment.status, payment.version) == (
        body["payment_id"],
        "requires_payment_method",
        1,
    )
    assert (payment.amount, payment.refunded, payment.provider) == (usd(1999), usd(0), "sandbox")
    again = orders.post(URL, body)
    assert (again.status_code, again.json()) == (200, first.json())
    assert read(orders.get(f"{URL}/{payment.id}"), contract.Payment) == payment


def test_an_id_is_not_used_twice(orders: Any) -> None:
    body = a_request()
    orders.post(URL, body)
    answer = orders.post(URL, {**body, "amount": {"amount": 1, "currency": "USD"}})
    assert (answer.status_code, answer.json()["code"]) == (409, "payment_id_reused")


def test_a_second_payment_of_an_order_is_refused_until_the_first_is_canceled(orders: Any) -> None:
    body = a_request()
    orders.post(URL, body)
    second = {**body, "payment_id": str(uuid7())}
    answer = orders.post(URL, second)
    assert (answer.status_code, answer.json()["code"]) == (409, "order_has_payment")
    assert orders.post(f"{URL}/{body['payment_id']}/cancel").json()["status"] == "canceled"
    assert orders.post(URL, second).status_code == 201


@pytest.mark.parametrize(
    "change",
    [
        {"amount": {"amount": -1, "currency": "USD"}},
        {"amount": {"amount": 10**20, "currency": "USD"}},
        {"amount": {"amount": 5, "currency": "EUR"}},
        {"amount": 5},
        {"payment_id": "x"},
        {"provider": "paypal"},
        {"order_id": None},
    ],
)
def test_a_request_that_does_not_fit_is_422(orders: Any, change: dict[str, Any]) -> None:
    answer = orders.post(URL, a_request(**change))
    assert answer.status_code == 422
    assert answer.json()["errors"]
    assert not Payment.objects.exists()


def test_only_orders_may_call(internal: Any, api: Any) -> None:
    for client, status in (
        (internal("svc-cart"), 403),
        (api.as_user(roles=("admin",)), 401),
        (api.anonymous(), 401),
    ):
        payment_id = uuid7()
        for answer in (
            client.post(URL, a_request()),
            client.get(f"{URL}/{payment_id}"),
            client.post(f"{URL}/{payment_id}/cancel"),
            client.post(f"{URL}/{payment_id}/refunds", {}),
        ):
            assert answer.status_code == status
    assert not PaymentTombstone.objects.exists()


def test_a_cancellation_says_how_the_payment_ended(orders: Any) -> None:
    expected = {
        "canceled": new_payment(),
        "succeeded": paid_payment(),
        "processing": confirm(new_payment(), "pm_card_delayed"),
    }
    for status, payment in expected.items():
        answer = orders.post(f"{URL}/{payment.id}/cancel")
        assert (answer.status_code, read(answer, contract.Payment).status) == (200, status)


def test_an_unknown_payment_is_404_and_can_never_be_paid(orders: Any) -> None:
    body = a_request()
    assert orders.get(f"{URL}/{body['payment_id']}").status_code == 404
    assert not PaymentTombstone.objects.exists()
    assert orders.post(f"{URL}/{body['payment_id']}/cancel").status_code == 404
    late = orders.post(URL, body)
    assert (late.status_code, late.json()["status"]) == (201, "canceled")


def test_an_action_is_part_of_the_payment(orders: Any) -> None:
    payment = confirm(new_payment(), "pm_card_authenticationRequired")
    answer = read(orders.get(f"{URL}/{payment.id}"), contract.Payment)
    assert answer.action == contract.PaymentAction(type="redirect", url=payment.action_url)


def test_a_refund_is_made_once(orders: Any) -> None:
    payment = paid_payment()
    body = {"refund_id": str(uuid7()), "amount": {"amount": 500, "currency": "USD"}, "reason": "return"}
    first = orders.post(f"{URL}/{payment.id}/refunds", body)
    assert first.status_code == 201
    refund = read(first, contract.Refund)
    assert (str(refund.id), refund.payment_id, refund.status) == (body["refund_id"], payment.id, "pending")
    again = orders.post(f"{URL}/{payment.id}/refunds", body)
    assert (again.status_code, again.json()) == (200, first.json())


def test_a_refund_beyond_the_payment_is_409_with_what_is_left(orders: Any) -> None:
    payment = paid_payment(amount=1000)
    body = {"refund_id": str(uuid7()), "amount": {"amount": 1001, "currency": "USD"}, "reason": "return"}
    answer = orders.post(f"{URL}/{payment.id}/refunds", body)
    assert (answer.status_code, answer.json()["code"]) == (409, "refund_exceeds_payment")
    assert answer.json()["refundable"] == {"amount": 1000, "currency": "USD"}


@pytest.mark.parametrize(
    "change",
    [
        {"reason": "x" * 501},
        {"reason": "a\x00b"},
        {"amount": {"amount": 0, "currency": "USD"}},
        {"refund_id": "x"},
    ],
)
def test_a_refund_that_does_not_fit_is_422(orders: Any, change: dict[str, Any]) -> None:
    payment = paid_payment()
    body = {
        "refund_id": str(uuid7()),
        "amount": {"amount": 5, "currency": "USD"},
        "reason": "return",
        **change,
    }
    assert orders.post(f"{URL}/{payment.id}/refunds", body).status_code == 422


class TestAPaymentOfNothing:
    NOTHING = {"amount": {"amount": 0, "currency": "USD"}}

    def test_it_has_succeeded_without_provider_ledger_and_event(
        self, orders: Any, api: Any, provider: Any, published: Any
    ) -> None:
        body = a_request(**self.NOTHING)
        first = orders.post(URL, body)
        assert first.status_code == 201
        payment = read(first, contract.Payment)
        assert (payment.status, payment.amount, payment.version) == ("succeeded", usd(0), 1)
        again = orders.post(URL, body)
        assert (again.status_code, again.json()) == (200, first.json())
        answer = api.as_user(payment.user_id).post(
            f"/api/v1/payments/{payment.id}/confirm", {"payment_method": "pm_card_visa"}
        )
        assert (answer.status_code, answer.json()["code"]) == (409, "payment_not_confirmable")
        refund = {"refund_id": str(uuid7()), "amount": {"amount": 1, "currency": "USD"}, "reason": "no"}
        refused = orders.post(f"{URL}/{payment.id}/refunds", refund)
        assert (refused.status_code, refused.json()["code"]) == (409, "refund_exceeds_payment")
        assert provider.calls == []
        assert not LedgerTransaction.objects.exists()
        assert published(PaymentSucceeded) == []

    def test_a_checkout_that_was_undone_cancels_it(self, orders: Any, provider: Any) -> None:
        body = a_request(**self.NOTHING)
        orders.post(URL, body)
        for _ in range(2):
            answer = orders.post(f"{URL}/{body['payment_id']}/cancel")
            assert (answer.status_code, answer.json()["status"]) == (200, "canceled")
        assert provider.calls == []
        assert Payment.objects.get().version == 2

    def test_one_that_was_canceled_before_it_came_stays_canceled(self, orders: Any) -> None:
        body = a_request(**self.NOTHING)
        orders.post(f"{URL}/{body['payment_id']}/cancel")
        assert orders.post(URL, body).json()["status"] == "canceled"

    def test_the_database_lets_nobody_charge_it(self, orders: Any) -> None:
        body = a_request(**self.NOTHING)
        orders.post(URL, body)
        for change in ({"status": "processing"}, {"provider_reference": "pi_1"}):
            with (
                pytest.raises(IntegrityError, match="positive_or_nothing_to_do"),
                transaction.atomic(),
            ):
                Payment.objects.filter(pk=body["payment_id"]).update(**change)
