"""Double entries: every movement of money is one transaction whose entries sum to zero in its currency.

Debits are positive, credits negative.

    provider.NAME   asset       what the provider holds for us
    customers       liability   what buyers have paid us for their orders, net of what went back

    capture of 19.99    provider.sandbox  +1999    customers  -1999
    refund of 5.00      provider.sandbox   -500    customers   +500

Written in the transaction that changes the payment, never changed afterwards; the database refuses anything else.
"""

from __future__ import annotations

from django.db import connection

from payments.models import LedgerTransaction, Payment, Refund
from shared_lib.ids import uuid7
from shared_lib.money import Money

CUSTOMERS = "customers"

_POST = """
    WITH accounts AS (
        INSERT INTO payments_ledgeraccount (code) SELECT unnest(%(accounts)s::text[]) ON CONFLICT DO NOTHING
    ), movement AS (
        INSERT INTO payments_ledgertransaction (id, kind, payment_id, refund_id)
        VALUES (%(id)s, %(kind)s, %(payment)s, %(refund)s)
    )
    INSERT INTO payments_ledgerentry (transaction_id, account_id, entry_amount, currency)
    SELECT %(id)s, made.account, made.amount, %(currency)s
    FROM unnest(%(accounts)s::text[], %(amounts)s::bigint[]) AS made (account, amount)
"""


def provider_account(provider: str) -> str:
    return f"provider.{provider}"


def book_capture(payment: Payment) -> None:
    """The whole amount of `payment` was taken from the buyer."""
    _post(LedgerTransaction.Kind.CAPTURE, payment, None, payment.amount)


def book_refund(payment: Payment, refund: Refund) -> None:
    """The amount of `refund` went back to the buyer."""
    _post(LedgerTransaction.Kind.REFUND, payment, refund, -refund.amount)


def _post(kind: LedgerTransaction.Kind, payment: Payment, refund: Refund | None, received: Money) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            _POST,
            {
                "id": uuid7(),
                "kind": kind.value,
                "payment": payment.id,
                "refund": refund.id if refund else None,
                "accounts": [provider_account(payment.provider), CUSTOMERS],
                "amounts": [received.amount, -received.amount],
                "currency": received.currency,
            },
        )
