"""Sending mails: a row for each, claimed before it is worked on, tried again with growing pauses.

Whoever sends takes one due mail after the other over one connection to the mail server: a hint for each would cost a message,
a connection and a greeting each. A mail may go twice if a process dies between the answer of the mail server and the next
commit; both have one Message-ID. Nothing is locked while svc-accounts and the mail server are asked.
"""

from __future__ import annotations

import smtplib
import time
from contextlib import suppress
from email.utils import parseaddr
from typing import Self

import msgspec
import structlog
from django.conf import settings
from django.core.mail import EmailMultiAlternatives, get_connection
from django.core.mail.backends.base import BaseEmailBackend
from django.utils import timezone

from notifications import clients
from notifications.exceptions import NotNeeded
from notifications.kinds import WAYS, Kind
from notifications.models import Email
from notifications.rendering import render_mail
from notifications.texts import find_language
from shared_lib.contracts.internal.accounts import User
from shared_lib.contracts.internal.cart import CartContents
from shared_lib.exceptions import ServiceUnavailable
from shared_lib.jobs import Attempt, SoftTimeLimitExceeded, working_on
from shared_lib.jobs.rows import claim_due
from shared_lib.money import Money
from shared_lib.observability import tracing

log = structlog.get_logger(__name__)

# Seconds after each attempt: about two days in all. Each is longer than asking and sending may take.
PAUSES = (60, 120, 300, 900, 1800, 3600, 10800, 21600, 43200, 86400)
# A sweep ends before the worker's limit for a task.
SWEEP_SECONDS = 40.0
# Mail servers count, and end a connection that was used too often.
MAILS_OF_A_CONNECTION = 50


def send_due_emails() -> int:
    """Sends what is due, one after the other, until nothing is left, the time is up, or nothing gets through at all."""
    started, count = time.monotonic(), 0
    with _MailServer() as server:
        while time.monotonic() - started < SWEEP_SECONDS:
            claimed = claim_due(Email.objects.all(), limit=1, pauses=PAUSES)
            if not claimed:
                break
            with working_on(claimed[0]) as attempt:
                delivered = _deliver(claimed[0], server, attempt)
            if not delivered:
                break
            count += 1
    return count


class _MailServer:
    """One connection for many mails, opened for the first one."""

    def __init__(self) -> None:
        self._connection: BaseEmailBackend | None = None
        self._sent = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._close()

    def send(self, message: EmailMultiAlternatives) -> None:
        """Raises what the backend raises; the next mail then gets a new connection."""
        if self._connection is None or self._sent >= MAILS_OF_A_CONNECTION:
            self._close()
            self._connection = get_connection()
            self._connection.open()
            self._sent = 0
        try:
            with tracing.span("SMTP send", "client"):
                self._connection.send_messages([message])
        except BaseException:
            self._close()
            raise
        self._sent += 1

    def _close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            # What became of the mails is known by now; a connection that breaks while it is closed changes nothing.
            with suppress(OSError):
                connection.close()


def _deliver(email: Email, server: _MailServer, attempt: Attempt) -> bool:
    """Tries to send a claimed mail and writes down what came of it. False if svc-accounts or the mail server is away."""
    address = ""
    try:
        user = _recipient(email)
        address = user.email
        server.send(_compose(email, user))
    except NotNeeded as reason:
        _settle(email, error=str(reason))
    except SoftTimeLimitExceeded:
        raise
    except Exception as error:  # noqa: BLE001 - whatever it is, it is kept with the row, which is tried again
        attempt.fail()
        return _keep_failure(email, error, address)
    else:
        _settle(email)
    return True


def _keep_failure(email: Email, error: Exception, address: str) -> bool:
    """Gives the mail up or leaves it due; False if it failed for a reason that other mails would meet as well."""
    reason = f"{type(error).__name__}: {error}"
    if address:
        reason = reason.replace(address, "<recipient>")
    log.warning(
        "email_not_sent", email_id=str(email.pk), kind=email.kind, attempts=email.attempts, error=reason
    )
    if _is_final(error):
        _settle(email, error=reason, gave_up=True)
        return True
    Email.objects.filter(pk=email.pk).update(last_error=reason, updated_at=timezone.now())
    if isinstance(error, smtplib.SMTPRecipientsRefused | smtplib.SMTPDataError):
        return True
    return not isinstance(error, OSError | ServiceUnavailable)


def _settle(email: Email, *, error: str = "", gave_up: bool = False) -> None:
    now = timezone.now()
    Email.objects.filter(pk=email.pk).update(
        due_at=None,
        sent_at=None if error else now,
        gave_up_at=now if gave_up else None,
        last_error=error,
        updated_at=now,
    )


def _recipient(email: Email) -> User:
    user = clients.find_user(user_id=email.user_id)
    if user is None:
        raise NotNeeded("The account is not there any more.")
    if email.kind == Kind.VERIFY_EMAIL and user.email_verified:
        raise NotNeeded("The address is verified already.")
    if email.kind == Kind.CART_REMINDER and not (user.email_verified and user.is_active):
        raise NotNeeded("Reminders go to verified addresses of active accounts only.")
    return user


def _left_in_cart(email: Email) -> CartContents:
    """Raises `NotNeeded` when it is not the cart any more that was left: the buyer has been back."""
    cart = clients.get_cart(user_id=email.user_id)
    if not cart.lines or cart.version != email.data["version"]:
        raise NotNeeded("The cart is another by now.")
    if not any(line.available for line in cart.lines):
        raise NotNeeded("Nothing of the cart can be bought any more.")
    return cart


def _compose(email: Email, user: User) -> EmailMultiAlternatives:
    """The mail with a fresh one-time link, where its kind has one.

    A name is greeted only at a verified address: otherwise anybody could have us write anything to anybody.
    """
    kind, data, link = Kind(email.kind), dict(email.data), None
    items: list[tuple[str, Money]] = []
    if kind == Kind.CART_REMINDER:
        cart = _left_in_cart(email)
        items = [(f"{line.quantity} × {line.name}", line.line_total) for line in cart.lines]  # noqa: RUF001
        data["total"] = msgspec.to_builtins(cart.subtotal)
    purpose = WAYS[kind].link
    if kind == Kind.WELCOME and user.email_verified:
        data["reason"], purpose, link = "verified", None, settings.STOREFRONT_URL
    if purpose is not None:
        one_time = clients.create_one_time_link(user_id=user.id, purpose=purpose)
        if one_time is None:
            raise NotNeeded("The account may not have such a link now.")
        link = one_time.url
    language = find_language(user.language)
    name = user.name if user.email_verified else None
    mail = render_mail(kind=kind, data=data, language=language, name=name, link=link, items=items)
    message = EmailMultiAlternatives(
        subject=mail.subject,
        body=mail.text,
        from_email=settings.EMAIL_FROM,
        to=[user.email],
        headers={
            "Message-ID": f"<{email.pk}@{parseaddr(settings.EMAIL_FROM)[1].rpartition('@')[2]}>",
            "Auto-Submitted": "auto-generated",
            "Content-Language": language.code,
        },
    )
    message.attach_alternative(mail.html, "text/html")
    return message


def _is_final(error: Exception) -> bool:
    """True if the mail server will never take this mail for this recipient (5xx, RFC 5321 section 4.2.1).

    What it says of us (authentication, sender) is a mistake in the settings, which somebody can correct.
    """
    match error:
        case smtplib.SMTPRecipientsRefused():
            return all(code >= 500 for code, _ in error.recipients.values())
        case smtplib.SMTPDataError():
            return error.smtp_code >= 500
        case _:
            return False
