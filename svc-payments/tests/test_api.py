"""The public API."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from payments.models import Payment, PaymentAttempt
from shared_lib.ids import uuid7
from tests.factories import confirm, new_payment, paid_payment

pytestmark = pytest.mark.django_db


@pytest.fixture
def buyer(api: Any) -> Any:
    return api.as_user()


def path(payment: Payment, tail: str = "") -> str:
    return f"/api/v1/payments/{payment.id}{tail}"


def test_a_payment_is_shown_to_its_buyer(buyer: Any, django_assert_num_queries: Any) -> None:
    payment = new_payment(user_id=buyer.user_id)
    with django_assert_num_queries(1):
        answer = buyer.get(path(payment))
    assert answer.status_code == 200
    assert answer.json() == {
        "id": str(payment.id),
        "order_id": str(payment.order_id),
        "status": "requires_payment_method",
        "amount": {"amount": 1999, "currency": "USD"},
        "refunded": {"amount": 0, "currency": "USD"},
        "provider": "sandbox",
        "action": None,
    }
    assert answer["Cache-Control"] == "private, no-store"
    assert buyer.get(path(payment), HTTP_IF_NONE_MATCH=answer["ETag"]).status_code == 304


def test_an_action_is_shown_with_its_address(buyer: Any) -> None:
    payment = confirm(new_payment(user_id=buyer.user_id), "pm_card_authenticationRequired")
    body = buyer.get(path(payment)).json()
    assert body["status"] == "requires_action"
    assert body["action"] == {"type": "redirect", "url": payment.action_url}


def test_another_persons_payment_is_not_there(api: Any, buyer: Any) -> None:
    payment = new_payment(user_id=buyer.user_id)
    stranger = api.as_user(roles=("customer", "staff"))
    for answer in (
        stranger.get(path(payment)),
        stranger.post(path(payment, "/confirm"), {"payment_method": "pm_card_visa"}),
        buyer.get(f"/api/v1/payments/{uuid7()}"),
    ):
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
    assert not PaymentAttempt.objects.exists()


def test_nobody_in_particular_sees_nothing(api: Any, buyer: Any) -> None:
    payment = new_payment(user_id=buyer.user_id)
    guest = api.anonymous()
    for answer in (
        guest.get(path(payment)),
        guest.post(path(payment, "/confirm"), {"payment_method": "pm_card_visa"}),
        guest.get("/api/v1/payments/methods"),
    ):
        assert answer.status_code == 401


def test_a_good_token_pays(buyer: Any) -> None:
    payment = new_payment(user_id=buyer.user_id)
    answer = buyer.post(path(payment, "/confirm"), {"payment_method": "pm_card_visa"})
    assert (answer.status_code, answer.json()["status"]) == (200, "succeeded")
    assert answer["ETag"] == buyer.get(path(payment))["ETag"]


def test_a_declined_card_is_402_and_another_one_pays(buyer: Any) -> None:
    payment = new_payment(user_id=buyer.user_id)
    answer = buyer.post(path(payment, "/confirm"), {"payment_method": "pm_card_chargeDeclined"})
    assert answer.status_code == 402
    assert answer["Content-Type"] == "application/problem+json"
    problem = answer.json()
    assert (problem["code"], problem["failure_code"]) == ("card_declined", "card_declined")
    assert buyer.get(path(payment)).json()["status"] == "requires_payment_method"
    assert buyer.post(path(payment, "/confirm"), {"payment_method": "pm_card_visa"}).status_code == 200


def test_a_final_payment_is_409(buyer: Any) -> None:
    payment = paid_payment(user_id=buyer.user_id)
    answer = buyer.post(path(payment, "/confirm"), {"payment_method": "pm_card_visa"})
    assert (answer.status_code, answer.json()["code"]) == (409, "payment_not_confirmable")


def test_a_confirmation_may_ask_for_the_state_it_saw(buyer: Any) -> None:
    payment = new_payment(user_id=buyer.user_id)
    tag = buyer.get(path(payment))["ETag"]
    stale = buyer.post(
        path(payment, "/confirm"), {"payment_method": "pm_card_visa"}, HTTP_IF_MATCH='"another"'
    )
    assert (stale.status_code, stale.json()["code"]) == (412, "precondition_failed")
    assert not PaymentAttempt.objects.exists()
    good = buyer.post(path(payment, "/confirm"), {"payment_method": "pm_card_visa"}, HTTP_IF_MATCH=tag)
    assert good.status_code == 200


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "payment_method"),
        ({"payment_method": ""}, "payment_method"),
        ({"payment_method": None}, "payment_method"),
        ({"payment_method": "pm card"}, "payment_method"),
        ({"payment_method": "p" * 101}, "payment_method"),
        ({"payment_method": ["pm_card_visa"]}, "payment_method"),
        ({"payment_method": "pm_card\n_visa"}, "payment_method"),
        ({"payment_method": "pm_nobody_knows"}, "payment_method"),
        ({"payment_method": "pm_card_visa", "return_url": "https://evil.example/"}, "return_url"),
    ],
)
def test_a_body_that_does_not_fit_is_422_with_its_field(buyer: Any, body: dict[str, Any], field: str) -> None:
    payment = new_payment(user_id=buyer.user_id)
    answer = buyer.post(path(payment, "/confirm"), body)
    assert answer.status_code == 422
    assert [error["field"] for error in answer.json()["errors"]] == [field]


def test_a_body_that_is_no_json_is_400(buyer: Any) -> None:
    payment = new_payment(user_id=buyer.user_id)
    answer = buyer.post(path(payment, "/confirm"), "{", content_type="application/json")
    assert (answer.status_code, answer.json()["code"]) == (400, "bad_request")
    assert buyer.post(path(payment, "/confirm"), [], format="json").status_code == 422


def test_a_card_number_is_refused_and_repeated_nowhere(
    buyer: Any, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    payment = new_payment(user_id=buyer.user_id)
    for body in (
        {"payment_method": "4242424242424242"},
        {"payment_method": "pm_card_visa", "card": {"number": "4242 4242 4242 4242", "cvc": "123"}},
        {"payment_method": "pm_card_visa", "4242-4242-4242-4242": ""},
        {"payment_method": "pm_card_visa", "note": 4242424242424242},
        {"payment_method": "pm_card_visa", "return_url": "http://storefront.test/?card=4242424242424242"},
    ):
        answer = buyer.post(path(payment, "/confirm"), body)
        assert (answer.status_code, answer.json()["code"]) == (422, "card_number_refused")
        assert "4242" not in answer.content.decode()
    # Bodies of which nobody can say what they hold are not repeated either.
    for text, kind, status in (
        ('{"number": "4242424242424242"', "application/json", 400),
        ("number=4242424242424242", "application/x-www-form-urlencoded", 415),
        ("4242424242424242", "text/plain", 415),
    ):
        answer = buyer.post(path(payment, "/confirm"), text, content_type=kind)
        assert answer.status_code == status
        assert "4242" not in answer.content.decode()
    assert not PaymentAttempt.objects.exists()
    written = capfd.readouterr()
    assert "4242" not in written.out + written.err + caplog.text


def test_a_provider_that_is_away_is_503_with_a_time_to_come_back(buyer: Any, provider: Any) -> None:
    from payments.providers import ProviderUnavailable
    from tests.factories import raising

    payment = new_payment(user_id=buyer.user_id)
    provider.before["create_intent"] = raising(ProviderUnavailable("refused"))
    answer = buyer.post(path(payment, "/confirm"), {"payment_method": "pm_card_visa"})
    assert (answer.status_code, answer.json()["code"]) == (503, "service_unavailable")
    assert int(answer["Retry-After"]) > 0


def test_the_methods_say_what_the_shop_offers(buyer: Any, django_assert_num_queries: Any) -> None:
    with django_assert_num_queries(0):
        answer = buyer.get("/api/v1/payments/methods")
    assert answer.status_code == 200
    [method] = answer.json()["results"]
    assert (method["provider"], method["type"]) == ("sandbox", "card")
    assert "pm_card_visa" in method["test_tokens"]


def test_other_methods_are_405(buyer: Any) -> None:
    assert buyer.get(path(new_payment(user_id=buyer.user_id), "/confirm")).status_code == 405
    assert buyer.get("/api/v1/payments/webhooks/sandbox").status_code == 405


def test_a_confirmation_costs_few_statements(buyer: Any, django_assert_max_num_queries: Any) -> None:
    payment = new_payment(user_id=buyer.user_id)
    with django_assert_max_num_queries(
        12
    ):  # of them four savepoint commands, which are BEGIN and COMMIT in life
        assert buyer.post(path(payment, "/confirm"), {"payment_method": "pm_card_visa"}).status_code == 200
