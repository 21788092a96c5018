"""What the events of others make of inbox and mails; the messages are written by hand in `messages.py`."""

from __future__ import annotations

from typing import Any

import pytest

from notifications.models import Email, Notification, Recipient
from tests import messages
from tests.messages import ORDER_ID, USER_ID

pytestmark = pytest.mark.django_db

TOTAL = {"amount": 5000, "currency": "USD"}
ORDER = {"order_id": ORDER_ID, "number": "R4K7-92QX", "item_count": 3, "total": TOTAL}


@pytest.mark.parametrize(
    ("message", "kind", "in_app", "by_email"),
    [
        (messages.user_registered(), "welcome", False, True),
        (messages.user_address_in_use(), "address_in_use", False, True),
        (messages.user_verification_requested(), "verify_email", False, True),
        (messages.user_password_reset_requested(), "password_reset", False, True),
        (messages.order_placed(), "order_placed", True, False),
        (messages.order_confirmed(), "order_confirmed", True, True),
        (messages.order_cancelled("buyer"), "order_cancelled", True, True),
        (messages.order_cancelled("replaced"), "order_cancelled", True, False),
        (messages.order_shipped(), "order_shipped", True, True),
        (messages.order_delivered(), "order_delivered", True, True),
        (messages.order_refunded(), "order_refunded", True, True),
        (messages.order_return_rejected(), "order_return_rejected", True, True),
        (messages.payment_attempt_failed(), "payment_attempt_failed", True, False),
        (messages.cart_abandoned(), "cart_reminder", False, True),
    ],
    ids=lambda value: value[0] if isinstance(value, tuple) else str(value),
)
def test_each_event_reaches_its_user_by_its_ways(
    deliver: Any, message: Any, kind: str, in_app: bool, by_email: bool
) -> None:
    (event_id,) = deliver(message)
    for model, expected in ((Notification, in_app), (Email, by_email)):
        found = [(str(row.user_id), row.kind, row.event_id) for row in model.objects.all()]
        assert found == ([(USER_ID, kind, event_id)] if expected else [])


def test_a_mail_is_hinted_to_the_worker_and_an_entry_of_the_inbox_is_not(
    deliver: Any, django_capture_on_commit_callbacks: Any
) -> None:
    with django_capture_on_commit_callbacks() as hints:
        deliver(messages.order_confirmed())
    assert len(hints) == 1
    with django_capture_on_commit_callbacks() as hints:
        deliver(messages.order_placed())
    assert hints == []


def test_an_entry_says_what_it_is_about(deliver: Any) -> None:
    deliver(messages.order_confirmed(), messages.order_shipped(), messages.order_refunded())
    data = {entry.kind: entry.data for entry in Notification.objects.all()}
    assert data == {
        "order_confirmed": ORDER,
        "order_shipped": {**ORDER, "carrier": "DHL", "tracking_number": "JD0146"},
        "order_refunded": {
            "order_id": ORDER_ID,
            "number": "R4K7-92QX",
            "refund_id": "01938b8e-0000-7000-8000-0000000000f9",
            "amount": {"amount": 2500, "currency": "USD"},
        },
    }


def test_a_duplicate_is_told_once(deliver: Any) -> None:
    (event_id,) = deliver(messages.order_confirmed())
    deliver(messages.order_confirmed(), again=event_id)
    assert (Notification.objects.count(), Email.objects.count()) == (1, 1)


def test_a_duplicate_is_told_once_even_if_the_inbox_forgot_it(deliver: Any) -> None:
    from shared_lib.inbox.models import InboxEvent

    (event_id,) = deliver(messages.order_confirmed())
    InboxEvent.objects.all().delete()
    deliver(messages.order_confirmed(), again=event_id)
    assert (Notification.objects.count(), Email.objects.count()) == (1, 1)


@pytest.mark.parametrize(
    ("reason", "was_confirmed", "money_back"),
    [
        ("buyer", True, True),
        ("buyer", False, False),
        ("expired", False, False),
        ("out_of_stock", True, False),
    ],
)
def test_a_cancellation_says_whether_money_comes_back(
    deliver: Any, reason: str, was_confirmed: bool, money_back: bool
) -> None:
    deliver(messages.order_cancelled(reason, was_confirmed=was_confirmed))
    assert Notification.objects.get().data == {**ORDER, "reason": reason, "money_back": money_back}


def test_an_order_that_costs_nothing_has_words_of_its_own_and_no_money_comes_back(deliver: Any) -> None:
    nothing = {"total": {"amount": 0, "currency": "USD"}}
    deliver(
        messages.order_placed(**nothing),
        messages.order_confirmed(**nothing),
        messages.order_cancelled("buyer", was_confirmed=True, **nothing),
    )
    found = {entry.kind: entry.data for entry in Notification.objects.all()}
    assert found["order_placed"]["reason"] == found["order_confirmed"]["reason"] == "free"
    assert found["order_cancelled"]["money_back"] is False


class TestCartReminders:
    def test_one_is_due_for_each_version_of_a_cart_and_none_for_an_older_one(self, deliver: Any) -> None:
        for version in (4, 4, 3, 7):
            deliver(messages.cart_abandoned(version=version))
        deliver(messages.cart_abandoned(cart_id="01938b8e-0000-7000-8000-0000000000d2"))
        assert sorted(row.data["version"] for row in Email.objects.all()) == [4, 4, 7]
        assert not Notification.objects.exists()

    def test_an_erased_user_is_not_reminded(self, deliver: Any) -> None:
        deliver(messages.user_erased())
        deliver(messages.cart_abandoned())
        assert not Email.objects.exists()


class TestErasure:
    def test_an_erased_user_is_forgotten_and_nobody_else(self, deliver: Any) -> None:
        other = "01938b8e-0000-7000-8000-0000000000c2"
        deliver(messages.order_confirmed(), messages.order_confirmed(user_id=other))
        deliver(messages.user_erased())
        for model in (Notification, Email):
            assert [str(row.user_id) for row in model.objects.all()] == [other]

    def test_a_late_event_brings_nothing_back(self, deliver: Any) -> None:
        deliver(messages.user_erased())
        deliver(messages.order_confirmed(), messages.user_registered())
        assert not Notification.objects.exists()
        assert not Email.objects.exists()

    def test_erasing_twice_keeps_the_first_time(self, deliver: Any) -> None:
        deliver(messages.user_erased())
        first = Recipient.objects.get().erased_at
        assert first is not None
        deliver(messages.user_erased())
        assert Recipient.objects.get().erased_at == first


def test_telling_a_known_user_takes_three_queries(deliver: Any, django_assert_num_queries: Any) -> None:
    from notifications.kinds import Kind
    from notifications.services import notify
    from shared_lib.models import uuid7

    user_id = uuid7()
    notify(user_id=user_id, kind=Kind.ORDER_CONFIRMED, event_id=uuid7(), data=ORDER)
    with django_assert_num_queries(3):
        notify(user_id=user_id, kind=Kind.ORDER_CONFIRMED, event_id=uuid7(), data=ORDER)
