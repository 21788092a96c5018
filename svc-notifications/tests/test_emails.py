"""Mails through a real mail server."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import httpx
import pytest
from django.utils import timezone

from notifications import services, tasks
from notifications.kinds import WAYS, Kind
from notifications.models import Email
from notifications.services import emails
from notifications.services.emails import PAUSES
from tests.conftest import free_port
from tests.factories import ORDER, EmailFactory

pytestmark = pytest.mark.django_db


def send(email: Email) -> Email:
    tasks.send_due_emails()
    email.refresh_from_db()
    return email


def make_due(email: Email) -> None:
    Email.objects.filter(pk=email.pk).update(due_at=timezone.now() - timedelta(seconds=1))


def text_of(mail: Any) -> str:
    return str(mail.get_body(("plain",)).get_content())


def html_of(mail: Any) -> str:
    return str(mail.get_body(("html",)).get_content())


def test_a_confirmed_order_reaches_its_buyer(mailbox: Any, accounts: Any) -> None:
    email = send(EmailFactory.create())

    (mail,) = mailbox.mails
    assert mailbox.recipients == ["buyer@example.com"]
    assert mail["To"] == "buyer@example.com"
    assert mail["From"] == "The shop <shop@example.com>"
    assert mail["Subject"] == "Your order R4K7-92QX is confirmed"
    assert mail["Message-ID"] == f"<{email.pk}@example.com>"
    assert mail["Auto-Submitted"] == "auto-generated"
    assert mail.get_content_type() == "multipart/alternative"
    link = f"https://shop.example.com/orders/{ORDER['order_id']}"
    for body in (text_of(mail), html_of(mail)):
        assert "Hello Ada Lovelace," in body
        for part in ("R4K7-92QX", "50.00 USD", "Thank you!", link):
            assert part in body
    assert "Items: 3" in text_of(mail)
    assert email.sent_at is not None
    assert (email.due_at, email.attempts, email.last_error) == (None, 1, "")


def test_a_mail_that_was_sent_is_not_sent_again(mailbox: Any, accounts: Any) -> None:
    email = send(EmailFactory.create())
    send(email)
    services.send_due_emails()
    assert len(mailbox.mails) == 1


def test_mails_that_are_due_together_go_over_one_connection(mailbox: Any, accounts: Any) -> None:
    EmailFactory.create_batch(5)

    assert services.send_due_emails() == 5

    assert len(mailbox.mails) == 5
    assert mailbox.connections == 1


def test_a_connection_is_not_used_for_ever(
    mailbox: Any, accounts: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(emails, "MAILS_OF_A_CONNECTION", 2)
    EmailFactory.create_batch(5)

    assert services.send_due_emails() == 5

    assert len(mailbox.mails) == 5
    assert mailbox.connections == 3


def test_a_mail_that_is_refused_does_not_hold_up_the_next(mailbox: Any, accounts: Any) -> None:
    refused = EmailFactory.create(due_at=timezone.now() - timedelta(minutes=1))
    mailbox.refuse_content = "554 no"
    mailbox.refuse_times = 1
    email = EmailFactory.create()

    services.send_due_emails()

    for one in (refused, email):
        one.refresh_from_db()
    assert refused.gave_up_at is not None
    assert email.sent_at is not None


@pytest.mark.parametrize(
    ("language", "subject", "greeting"),
    [
        ("de", "Ihre Bestellung R4K7-92QX ist bestätigt", "Guten Tag Ada Lovelace,"),
        ("zh-hans", "您的订单 R4K7-92QX 已确认", "Ada Lovelace，您好："),  # noqa: RUF001
        ("fr", "Your order R4K7-92QX is confirmed", "Hello Ada Lovelace,"),
    ],
)
def test_a_mail_speaks_the_language_of_its_user(
    mailbox: Any, accounts: Any, language: str, subject: str, greeting: str
) -> None:
    accounts.user = {**accounts.user, "language": language}
    send(EmailFactory.create())
    (mail,) = mailbox.mails
    assert mail["Subject"] == subject
    assert greeting in text_of(mail)
    assert greeting in html_of(mail)


@pytest.mark.parametrize("kind", [kind for kind, ways in WAYS.items() if ways.email])
def test_every_kind_can_be_sent(mailbox: Any, accounts: Any, cart: Any, kind: Kind) -> None:
    accounts.user = {**accounts.user, "email_verified": kind == Kind.CART_REMINDER}
    more = {"carrier": "DHL", "tracking_number": "JD0146", "amount": {"amount": 1, "currency": "USD"}}
    email = send(EmailFactory.create(kind=kind, data={**ORDER, **more, "version": cart.contents["version"]}))
    assert email.sent_at is not None
    (mail,) = mailbox.mails
    assert mail["Subject"]
    assert "{" not in text_of(mail)


def test_a_mail_cannot_be_made_to_carry_markup(mailbox: Any, accounts: Any) -> None:
    accounts.user = {**accounts.user, "name": "<b>Ada</b> & Co"}
    send(
        EmailFactory.create(
            kind=Kind.ORDER_SHIPPED,
            data={**ORDER, "carrier": "<script>x</script>", "tracking_number": "1"},
        )
    )
    (mail,) = mailbox.mails
    assert "<script>" not in html_of(mail)
    assert "&lt;script&gt;" in html_of(mail)
    assert "Hello <b>Ada</b> & Co," in text_of(mail)


class TestOneTimeLinks:
    def test_the_welcome_asks_for_its_link_when_it_is_sent(self, mailbox: Any, accounts: Any) -> None:
        accounts.user = {**accounts.user, "email_verified": False}
        email = send(EmailFactory.create(kind=Kind.WELCOME, data={}))
        (mail,) = mailbox.mails
        assert "https://shop.example.com/verify?token=t-1" in text_of(mail)
        assert "https://shop.example.com/verify?token=t-1" in html_of(mail)
        assert accounts.calls[-1].json == {"user_id": str(email.user_id), "purpose": "verify_email"}
        assert "t-1" not in str(Email.objects.values())

    def test_nobody_is_greeted_by_name_at_an_address_that_is_not_verified(
        self, mailbox: Any, accounts: Any
    ) -> None:
        accounts.user = {**accounts.user, "email_verified": False, "name": "Win money at evil.example"}
        send(EmailFactory.create(kind=Kind.WELCOME, data={}))
        assert "evil" not in mailbox.mails[0].as_string()

    def test_a_user_who_is_verified_by_now_is_welcomed_without_a_link(
        self, mailbox: Any, accounts: Any
    ) -> None:
        send(EmailFactory.create(kind=Kind.WELCOME, data={}))
        assert mailbox.mails[0]["Subject"] == "Welcome!"
        assert accounts.links == 0

    def test_a_verification_that_is_done_by_now_is_not_sent(self, mailbox: Any, accounts: Any) -> None:
        email = send(EmailFactory.create(kind=Kind.VERIFY_EMAIL, data={}))
        assert mailbox.mails == []
        assert (email.due_at, email.sent_at, email.gave_up_at) == (None, None, None)
        assert email.last_error == "The address is verified already."

    def test_a_password_reset_leads_to_a_reset_link(self, mailbox: Any, accounts: Any) -> None:
        send(EmailFactory.create(kind=Kind.PASSWORD_RESET, data={}))
        assert accounts.calls[-1].json["purpose"] == "reset_password"
        assert "token=t-1" in text_of(mailbox.mails[0])

    def test_an_account_that_may_have_no_link_gets_no_mail(self, mailbox: Any, accounts: Any) -> None:
        accounts.answer(
            "svc-accounts", "POST", "/internal/v1/one-time-links", lambda _: (409, {"code": "conflict"})
        )
        email = send(EmailFactory.create(kind=Kind.PASSWORD_RESET, data={}))
        assert (mailbox.mails, email.due_at, email.sent_at) == ([], None, None)


class TestCartReminders:
    def send(self, version: int = 4) -> Email:
        return send(EmailFactory.create(kind=Kind.CART_REMINDER, data={"cart_id": "c", "version": version}))

    @pytest.mark.parametrize(
        ("language", "subject", "total"),
        [
            ("en", "You left something in your cart", "Total: 25.00 USD"),
            ("de-AT", "In Ihrem Warenkorb liegt noch etwas", "Gesamtbetrag: 25.00 USD"),
            ("zh-hans", "您的购物车里还有商品", "总计: 25.00 USD"),
        ],
    )
    def test_it_shows_what_the_cart_holds_now_in_the_language_of_its_user(
        self, mailbox: Any, accounts: Any, cart: Any, language: str, subject: str, total: str
    ) -> None:
        accounts.user = {**accounts.user, "language": language}
        email = self.send()
        (mail,) = mailbox.mails
        assert mail["Subject"] == subject
        for body in (text_of(mail), html_of(mail)):
            for part in ("2 × 台灯 <Lamp>", "20.00 USD", "1 × Cup"):  # noqa: RUF001
                assert part.replace("<", "&lt;" if body.startswith("<!") else "<") in body.replace(
                    "&gt;", ">"
                )
            assert "https://shop.example.com/cart" in body
        assert total in text_of(mail)
        assert email.sent_at is not None
        assert "Lamp" not in str(Email.objects.values())
        assert [call.path for call in cart.calls][-1] == f"/internal/v1/carts/{email.user_id}/contents"

    @pytest.mark.parametrize(
        ("contents", "user", "why"),
        [
            ({"version": 5}, {}, "another by now"),
            ({"version": 4, "lines": []}, {}, "another by now"),
            ({"version": 0, "lines": []}, {}, "another by now"),
            ({"available": 0}, {}, "Nothing of the cart"),
            ({}, {"email_verified": False}, "verified addresses"),
            ({}, {"is_active": False}, "verified addresses"),
        ],
    )
    def test_it_is_left_out_when_there_is_nothing_to_remind_of(
        self, mailbox: Any, accounts: Any, cart: Any, contents: Any, user: Any, why: str
    ) -> None:
        accounts.user = {**accounts.user, **user}
        if "available" in contents:
            cart.contents["lines"] = [{**line, "available": 0} for line in cart.contents["lines"]]
        else:
            cart.contents |= contents
        email = self.send()
        assert (mailbox.mails, email.due_at, email.sent_at, email.gave_up_at) == ([], None, None, None)
        assert why in email.last_error

    def test_without_svc_cart_it_is_tried_again(self, mailbox: Any, accounts: Any, cart: Any) -> None:
        cart.contents = None
        email = self.send()
        assert mailbox.mails == []
        assert email.due_at is not None
        assert "ServiceUnavailable" in email.last_error


def test_a_user_who_is_gone_gets_no_mail(mailbox: Any, accounts: Any) -> None:
    accounts.user = None
    email = send(EmailFactory.create())
    assert mailbox.mails == []
    assert (email.due_at, email.last_error) == (None, "The account is not there any more.")


class TestFailures:
    def test_a_mail_server_that_is_away_is_tried_again_with_the_same_message_id(
        self, mailbox: Any, accounts: Any, settings: Any
    ) -> None:
        port, settings.EMAIL_PORT = settings.EMAIL_PORT, free_port()
        email = send(EmailFactory.create())
        assert (email.sent_at, email.attempts) == (None, 1)
        assert "ConnectionRefusedError" in email.last_error
        assert email.due_at is not None
        assert timedelta(seconds=50) < email.due_at - timezone.now() < timedelta(seconds=80)
        assert services.send_due_emails() == 0

        settings.EMAIL_PORT = port
        make_due(email)
        assert services.send_due_emails() == 1
        email.refresh_from_db()
        assert email.sent_at is not None
        assert (email.attempts, email.last_error) == (2, "")
        assert mailbox.mails[0]["Message-ID"] == f"<{email.pk}@example.com>"

    def test_accounts_that_is_away_is_tried_again(self, mailbox: Any, accounts: Any) -> None:
        def gone(request: httpx.Request) -> None:
            raise httpx.ConnectError("refused", request=request)

        accounts.answer("svc-accounts", "GET", "/internal/v1/users/*", gone)
        email = send(EmailFactory.create())
        assert email.due_at is not None
        assert "ServiceUnavailable" in email.last_error

    def test_a_sweep_stops_when_nothing_gets_through(
        self, mailbox: Any, accounts: Any, settings: Any
    ) -> None:
        settings.EMAIL_PORT = free_port()
        EmailFactory.create_batch(3)
        assert services.send_due_emails() == 0
        assert sorted(Email.objects.values_list("attempts", flat=True)) == [0, 0, 1]

    def test_a_recipient_refused_for_ever_is_given_up(self, mailbox: Any, accounts: Any) -> None:
        mailbox.refuse_recipient = "550 no such user"
        email = send(EmailFactory.create())
        assert email.gave_up_at is not None
        assert (email.due_at, email.sent_at) == (None, None)
        assert "550" in email.last_error
        assert "buyer@example.com" not in email.last_error

    def test_a_recipient_refused_for_now_is_tried_again_and_holds_nobody_up(
        self, mailbox: Any, accounts: Any
    ) -> None:
        mailbox.refuse_recipient = "451 try later"
        EmailFactory.create_batch(2)
        assert services.send_due_emails() == 2
        assert list(Email.objects.values_list("attempts", "gave_up_at")) == [(1, None), (1, None)]

    def test_content_that_is_refused_for_ever_is_given_up(self, mailbox: Any, accounts: Any) -> None:
        mailbox.refuse_content = "554 no"
        assert send(EmailFactory.create()).gave_up_at is not None

    def test_a_mail_that_cannot_be_written_does_not_hold_up_the_others(
        self, mailbox: Any, accounts: Any
    ) -> None:
        broken = EmailFactory.create(data={})
        EmailFactory.create()
        assert services.send_due_emails() == 2
        broken.refresh_from_db()
        assert "KeyError" in broken.last_error
        assert broken.due_at is not None
        assert len(mailbox.mails) == 1

    def test_pauses_grow_and_end(self, mailbox: Any, accounts: Any, settings: Any) -> None:
        settings.EMAIL_PORT = free_port()
        email = EmailFactory.create()
        pauses = []
        for _ in PAUSES:
            send(email)
            assert email.due_at is not None
            pauses.append(email.due_at - timezone.now())
            make_due(email)
        assert pauses == sorted(pauses)
        send(email)
        make_due(email)
        send(email)
        assert email.due_at is None
        assert email.gave_up_at is not None
        assert email.attempts == len(PAUSES) + 1
