from __future__ import annotations

import email
import email.policy
import socket
from collections.abc import Iterator
from email.message import EmailMessage
from typing import Any

import httpx
import pytest
from aiosmtpd.controller import Controller


class Mailbox:
    """A mail server that keeps what it takes. `refuse_*` is what it answers to a recipient or to the content instead,
    `refuse_times` how often (None: always)."""

    def __init__(self) -> None:
        self.mails: list[EmailMessage] = []
        self.recipients: list[str] = []
        self.refuse_recipient: str | None = None
        self.refuse_content: str | None = None
        self.refuse_times: int | None = None
        self.connections = 0

    def _refuses(self, answer: str | None) -> bool:
        if answer is None or self.refuse_times == 0:
            return False
        if self.refuse_times is not None:
            self.refuse_times -= 1
        return True

    async def handle_EHLO(  # noqa: N802 - named by aiosmtpd
        self, server: Any, session: Any, envelope: Any, hostname: str, responses: list[str]
    ) -> list[str]:
        self.connections += 1
        session.host_name = hostname
        return responses

    async def handle_RCPT(  # noqa: N802 - named by aiosmtpd
        self, server: Any, session: Any, envelope: Any, address: str, options: Any
    ) -> str:
        if self._refuses(self.refuse_recipient):
            return str(self.refuse_recipient)
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802
        if self._refuses(self.refuse_content):
            return str(self.refuse_content)
        self.recipients += envelope.rcpt_tos
        self.mails.append(email.message_from_bytes(envelope.content, policy=email.policy.default))
        return "250 OK"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def mailbox(settings: Any) -> Iterator[Mailbox]:
    """A real SMTP server on a free port, and the settings that lead to it."""
    box = Mailbox()
    controller = Controller(box, hostname="127.0.0.1", port=free_port())
    controller.start()
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", controller.port
    settings.EMAIL_FROM = "The shop <shop@example.com>"
    settings.STOREFRONT_URL = "https://shop.example.com"
    yield box
    controller.stop()


@pytest.fixture
def accounts(upstream: Any) -> Any:
    """svc-accounts: `accounts.user` is what it says of any user; None for nobody."""

    class Accounts:
        calls = upstream.calls
        user: dict[str, Any] | None = {
            "email": "buyer@example.com",
            "name": "Ada Lovelace",
            "language": "en",
            "email_verified": True,
            "is_active": True,
        }
        links = 0

    state = Accounts()

    def user(request: Any) -> Any:
        if state.user is None:
            return 404, {"code": "not_found"}
        return 200, {"id": request.url.path.rpartition("/")[2], **state.user}

    def link(_: Any) -> Any:
        state.links += 1
        url = f"https://shop.example.com/verify?token=t-{state.links}"
        return 201, {"url": url, "expires_at": "2026-11-23T00:00:00Z"}

    upstream("svc-accounts", "GET", "/internal/v1/users/*", user)
    upstream("svc-accounts", "POST", "/internal/v1/one-time-links", link)
    state.answer = upstream  # type: ignore[attr-defined]
    return state


@pytest.fixture
def cart(upstream: Any) -> Any:
    """svc-cart: `cart.contents` is what it says of any user's cart; None while it is away."""

    class Cart:
        calls = upstream.calls
        contents: dict[str, Any] | None = {
            "version": 4,
            "lines": [
                {
                    "name": "台灯 <Lamp>",
                    "quantity": 2,
                    "line_total": {"amount": 2000, "currency": "USD"},
                    "available": 5,
                },
                {
                    "name": "Cup",
                    "quantity": 1,
                    "line_total": {"amount": 500, "currency": "USD"},
                    "available": 0,
                },
            ],
            "subtotal": {"amount": 2500, "currency": "USD"},
        }

    state = Cart()

    def contents(request: httpx.Request) -> Any:
        if state.contents is None:
            raise httpx.ConnectError("refused", request=request)
        return 200, state.contents

    upstream("svc-cart", "GET", "/internal/v1/carts/*", contents)
    return state
