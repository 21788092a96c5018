"""GET /notifications and marking as read: what a storefront sees."""

from __future__ import annotations

from typing import Any

import pytest

from notifications.kinds import Kind
from notifications.models import Notification
from shared_lib.models import uuid7
from tests.factories import ORDER, NotificationFactory

pytestmark = pytest.mark.django_db

INBOX = "/api/v1/notifications"


@pytest.fixture
def user(api: Any) -> Any:
    return api.as_user()


def test_an_entry_is_shown_as_promised(user: Any) -> None:
    entry = NotificationFactory.create(user_id=user.user_id)
    response = user.get(INBOX)
    assert response.status_code == 200
    assert response.headers["Cache-Control"] == "private, no-store"
    (shown,) = response.json()["results"]
    assert shown.pop("created_at").endswith("Z")
    assert shown == {
        "id": str(entry.pk),
        "kind": "order_confirmed",
        "title": "Your order R4K7-92QX is confirmed",
        "body": "Thank you! Your payment has arrived, and we are getting your order ready.",
        "data": ORDER,
        "read": False,
    }


@pytest.mark.parametrize(
    ("accepted", "title"),
    [
        ("de-AT,de;q=0.9,en;q=0.1", "Ihre Bestellung R4K7-92QX ist bestätigt"),
        ("zh-CN", "您的订单 R4K7-92QX 已确认"),
        ("fr", "Your order R4K7-92QX is confirmed"),
        ("!!", "Your order R4K7-92QX is confirmed"),
    ],
)
def test_an_entry_speaks_the_language_of_the_request(user: Any, accepted: str, title: str) -> None:
    entry = NotificationFactory.create(user_id=user.user_id)
    headers = {"Accept-Language": accepted}
    assert user.get(INBOX, headers=headers).json()["results"][0]["title"] == title
    assert user.post(f"{INBOX}/{entry.pk}/read", headers=headers).json()["title"] == title


def test_the_list_is_newest_first_in_pages_and_takes_one_query(
    user: Any, django_assert_num_queries: Any
) -> None:
    ids = [str(NotificationFactory.create(user_id=user.user_id).pk) for _ in range(25)]
    with django_assert_num_queries(1):
        first = user.get(INBOX).json()
    assert len(first["results"]) == 20
    second = user.get(first["next"]).json()
    assert [entry["id"] for entry in first["results"] + second["results"]] == ids[::-1]
    assert (first["previous"], second["next"]) == (None, None)


def test_unread_leaves_out_what_was_read(user: Any) -> None:
    read, unread = (NotificationFactory.create(user_id=user.user_id) for _ in range(2))
    response = user.post(f"{INBOX}/{read.pk}/read")
    assert (response.status_code, response.json()["read"]) == (200, True)
    found = user.get(INBOX, {"unread": "true"}).json()["results"]
    assert [entry["id"] for entry in found] == [str(unread.pk)]
    assert [entry["read"] for entry in user.get(INBOX, {"unread": "false"}).json()["results"]] == [
        False,
        True,
    ]


def test_a_filter_that_means_nothing_is_refused(user: Any) -> None:
    response = user.get(INBOX, {"unread": "perhaps"})
    assert (response.status_code, response.json()["errors"][0]["field"]) == (422, "unread")


def test_reading_twice_keeps_the_first_time(user: Any) -> None:
    entry = NotificationFactory.create(user_id=user.user_id)
    user.post(f"{INBOX}/{entry.pk}/read")
    entry.refresh_from_db()
    first = entry.read_at
    assert user.post(f"{INBOX}/{entry.pk}/read").status_code == 200
    entry.refresh_from_db()
    assert entry.read_at == first


def test_everything_is_read_at_once(user: Any) -> None:
    NotificationFactory.create_batch(3, user_id=user.user_id)
    other = NotificationFactory.create()
    assert user.post(f"{INBOX}/read-all").status_code == 204
    assert user.get(INBOX, {"unread": "true"}).json()["results"] == []
    assert list(Notification.objects.filter(read_at=None)) == [other]
    assert user.post(f"{INBOX}/read-all").status_code == 204


def test_entries_of_others_do_not_exist(user: Any) -> None:
    other = NotificationFactory.create()
    assert user.get(INBOX).json()["results"] == []
    for entry_id in (other.pk, uuid7()):
        response = user.post(f"{INBOX}/{entry_id}/read")
        assert (response.status_code, response.json()["code"]) == (404, "notification_not_found")
    other.refresh_from_db()
    assert other.read_at is None


def test_an_inbox_needs_a_user(api: Any) -> None:
    guest = api.anonymous()
    assert guest.get(INBOX).status_code == 401
    assert guest.post(f"{INBOX}/read-all").status_code == 401
    assert guest.post(f"{INBOX}/{uuid7()}/read").status_code == 401


def test_an_entry_of_every_kind_and_reason_can_be_shown(user: Any) -> None:
    more = {"carrier": "DHL", "tracking_number": "1", "amount": {"amount": 1, "currency": "USD"}}
    for kind in Kind:
        NotificationFactory.create(user_id=user.user_id, kind=kind, data={**ORDER, **more})
    for reason in ("buyer", "expired", "replaced", "staff", "out_of_stock", "new one"):
        data = {**ORDER, "reason": reason}
        NotificationFactory.create(user_id=user.user_id, kind=Kind.ORDER_CANCELLED, data=data)
    for language in ("en", "de", "zh"):
        shown = user.get(INBOX, {"page_size": 50}, headers={"Accept-Language": language}).json()["results"]
        assert len(shown) == len(Kind) + 6
        assert all(entry["title"] and "{" not in entry["title"] + entry["body"] for entry in shown)
