"""Payments in the states that tests start from, made by the services themselves."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any
from uuid import UUID

from payments import ledger, providers, services
from payments.models import Payment
from shared_lib.ids import uuid7
from shared_lib.money import Money
from tests import stripe_dialect


def offered() -> str:
    """The provider that the test at hand runs over."""
    return providers.offered_providers()[0]


def held() -> str:
    """The ledger account of what that provider holds for us."""
    return ledger.provider_account(offered())


def tell(headers: Mapping[str, str], body: bytes) -> None:
    """Gives a webhook of the sandbox to the service, as the provider at hand would send it."""
    if offered() == "stripe":
        headers, body = stripe_dialect.webhook(body)
    else:
        headers = {"Sandbox-Signature": headers["sandbox-signature"]}
    services.receive_webhook(provider_name=offered(), headers=headers, body=body)


def usd(amount: int) -> Money:
    return Money(amount, "USD")


def new_payment(*, amount: int = 1999, user_id: UUID | None = None, **values: Any) -> Payment:
    payment, _ = services.create_payment(
        **{
            "payment_id": uuid7(),
            "order_id": uuid7(),
            "user_id": user_id or uuid7(),
            "amount": usd(amount),
            **values,
        }
    )
    return payment


def confirm(payment: Payment, payment_method: str = "pm_card_visa", **values: Any) -> Payment:
    return services.confirm_payment(
        user_id=payment.user_id, payment_id=payment.id, payment_method=payment_method, **values
    )


def paid_payment(
    *, amount: int = 1999, payment_method: str = "pm_card_visa", user_id: UUID | None = None
) -> Payment:
    return confirm(new_payment(amount=amount, user_id=user_id), payment_method)


def raising(error: Exception) -> Callable[[], None]:
    """A hook that lets a call of the provider end with `error`."""

    def hook() -> None:
        raise error

    return hook
