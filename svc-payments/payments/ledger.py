"""Double entries: every movement of money is one transaction whose entries sum to zero in its currency.

Debits are positive, credits negative.

    provider.NAME   asset       what the provider holds for us
    customers       liability   what buyers have paid us for their orders, net of what went back
    disputed        asset       what banks took back and may still give us again
    chargebacks     expense     what banks took back for good

    capture of 19.99    provider.sandbox  +1999    customers    -1999
    refund of 5.00      provider.sandbox   -500    customers     +500
    dispute, opened     provider.sandbox  -1499    disputed     +1499
    dispute, won        provider.sandbox  +1499    disputed     -1499
    dispute, lost       chargebacks       +1499    disputed     -1499

Written in the transaction that changes the payment, never changed afterwards; the database refuses anything else.
"""

from __future__ import annotations

from django.db import connection

from payments.models import Dispute, LedgerTransaction, Payment, Refund
from shared_lib.ids import uuid7
from shared_lib.money import Money

CUSTOMERS = "customers"
DISPUTED = "disputed"
CHARGEBACKS = "chargebacks"

_Kind = LedgerTransaction.Kind

_POST = """
    WITH accounts AS (
        INSERT INTO payments_ledgeraccount (code) SELECT unnest(%(accounts)s::text[]) ON CONFLICT DO NOTHING
    ), movement AS (
        INSERT INTO payments_ledgertransaction (id, kind, payment_id, refund_id, dispute_id)
        VALUES (%(id)s, %(kind)s, %(payment)s, %(refund)s, %(dispute)s)
    )
    INSERT INTO payments_ledgerentry (transaction_id, account_id, entry_amount, currency)
    SELECT %(id)s, made.account, made.amount, %(currency)s
    FROM unnest(%(accounts)s::text[], %(amounts)s::bigint[]) AS made (account, amount)
"""


def provider_account(provider: str) -> str:
    return f"provider.{provider}"


def book_capture(payment: Payment) -> None:
    """The whole amount of `payment` was taken from the buyer."""
    _post(_Kind.CAPTURE, payment, payment.amount, to=provider_account(payment.provider), of=CUSTOMERS)


def book_refund(payment: Payment, refund: Refund) -> None:
    """The amount of `refund` went back to the buyer."""
    held = provider_account(payment.provider)
    _post(_Kind.REFUND, payment, refund.amount, to=CUSTOMERS, of=held, refund=refund)


def book_dispute_opened(payment: Payment, dispute: Dispute) -> None:
    """The buyer's bank took the amount of `dispute`."""
    held = provider_account(payment.provider)
    _post(_Kind.DISPUTE_OPENED, payment, dispute.amount, to=DISPUTED, of=held, dispute=dispute)


def book_dispute_closed(payment: Payment, dispute: Dispute, *, won: bool) -> None:
    """The bank has decided whether the amount of `dispute` is ours again or gone."""
    kind, account = (
        (_Kind.DISPUTE_WON, provider_account(payment.provider)) if won else (_Kind.DISPUTE_LOST, CHARGEBACKS)
    )
    _post(kind, payment, dispute.amount, to=account, of=DISPUTED, dispute=dispute)


def _post(
    kind: LedgerTransaction.Kind,
    payment: Payment,
    moved: Money,
    *,
    to: str,
    of: str,
    refund: Refund | None = None,
    dispute: Dispute | None = None,
) -> None:
    """Debits `to` and credits `of`."""
    with connection.cursor() as cursor:
        cursor.execute(
            _POST,
            {
                "id": uuid7(),
                "kind": kind.value,
                "payment": payment.id,
                "refund": refund.id if refund else None,
                "dispute": dispute.id if dispute else None,
                "accounts": [to, of],
                "amounts": [moved.amount, -moved.amount],
                "currency": moved.currency,
            },
        )
