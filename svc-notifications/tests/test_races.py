"""Real threads, each with a connection of its own, on real PostgreSQL."""

from __future__ import annotations

from typing import Any

import pytest

from notifications import services
from notifications.kinds import Kind
from notifications.models import Email, Notification
from shared_lib.models import uuid7
from shared_lib.testing.races import at_once
from tests.factories import ORDER, EmailFactory

pytestmark = pytest.mark.django_db(transaction=True)


def test_hints_and_sweeps_at_once_send_each_mail_once(mailbox: Any, accounts: Any) -> None:
    emails = EmailFactory.create_batch(12)
    results = at_once(*[services.send_due_emails] * 6)
    assert sum(results) == len(emails), results
    assert sorted(mail["Message-ID"] for mail in mailbox.mails) == sorted(
        f"<{email.pk}@example.com>" for email in emails
    )
    assert not Email.objects.filter(sent_at=None).exists()


def test_one_event_told_at_once_is_told_once() -> None:
    user_id, event_id = uuid7(), uuid7()

    def tell() -> None:
        services.notify(user_id=user_id, kind=Kind.ORDER_PLACED, event_id=event_id, data=ORDER)

    assert at_once(*[tell] * 6) == [None] * 6
    assert Notification.objects.count() == 1


def test_nothing_is_left_of_a_user_who_is_erased_while_being_told() -> None:
    for _ in range(5):
        user_id = uuid7()

        def tell(user_id: Any = user_id) -> None:
            services.notify(user_id=user_id, kind=Kind.ORDER_PLACED, event_id=uuid7(), data=ORDER)

        def erase(user_id: Any = user_id) -> None:
            services.erase_user(user_id=user_id)

        assert at_once(tell, erase, tell, tell) == [None] * 4
        assert not Notification.objects.filter(user_id=user_id).exists()
