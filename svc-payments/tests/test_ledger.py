"""The ledger's rules as PostgreSQL keeps them, whoever writes."""

from __future__ import annotations

from uuid import UUID

import pytest
from django.db import IntegrityError, connection, transaction
from django.db.models import Sum

from payments import services, tasks
from payments.models import LedgerAccount, LedgerEntry, LedgerTransaction
from shared_lib.ids import uuid7
from tests.factories import new_payment, paid_payment, usd


def write(payment_id: UUID, *entries: tuple[str, int, str]) -> UUID:
    """A ledger transaction by hand, in the transaction that is open."""
    transaction_id = uuid7()
    for code in ("a", "b"):
        LedgerAccount.objects.get_or_create(code=code)
    LedgerTransaction.objects.create(id=transaction_id, kind="capture", payment_id=payment_id)
    for account, amount, currency in entries:
        LedgerEntry.objects.create(
            transaction_id=transaction_id, account_id=account, entry_amount=amount, currency=currency
        )
    return transaction_id


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    "entries",
    [
        [("a", 100, "USD"), ("b", -99, "USD")],
        [("a", 100, "USD"), ("b", -100, "EUR")],
        [("a", 100, "USD"), ("a", 5, "EUR"), ("b", -100, "USD")],
        [("a", 100, "USD")],
        [],
    ],
)
def test_what_does_not_sum_to_zero_in_each_currency_is_refused_at_commit(
    entries: list[tuple[str, int, str]],
) -> None:
    payment = new_payment()
    with pytest.raises(IntegrityError, match=r"does not sum to zero|fewer than two"), transaction.atomic():
        write(payment.id, *entries)
    assert not LedgerTransaction.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_what_sums_to_zero_in_each_currency_is_taken() -> None:
    payment = new_payment()
    with transaction.atomic():
        write(
            payment.id,
            ("a", 100, "USD"),
            ("b", -60, "USD"),
            ("b", -40, "USD"),
            ("a", 7, "EUR"),
            ("b", -7, "EUR"),
        )
    assert LedgerEntry.objects.count() == 5


@pytest.mark.django_db(transaction=True)
def test_nothing_is_added_to_a_transaction_later_even_if_it_balances() -> None:
    paid_payment()
    old = LedgerTransaction.objects.get()
    later = [
        LedgerEntry(transaction=old, account_id="customers", entry_amount=amount, currency="USD")
        for amount in (5, -5)
    ]
    with pytest.raises(IntegrityError, match="written by another"), transaction.atomic():
        LedgerEntry.objects.bulk_create(later)
    assert LedgerEntry.objects.count() == 2


@pytest.mark.django_db
@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE payments_ledgerentry SET entry_amount = entry_amount * 2",
        "DELETE FROM payments_ledgerentry",
        "UPDATE payments_ledgertransaction SET kind = 'refund'",
        "DELETE FROM payments_ledgertransaction",
    ],
)
def test_nothing_in_the_ledger_is_changed_or_removed(statement: str) -> None:
    paid_payment()
    with (
        pytest.raises(IntegrityError, match="append-only"),
        transaction.atomic(),
        connection.cursor() as cursor,
    ):
        cursor.execute(statement)
    assert LedgerEntry.objects.count() == 2


@pytest.mark.django_db
@pytest.mark.parametrize("table", ["ledgerentry", "ledgertransaction"])
def test_the_ledger_is_not_truncated(table: str) -> None:
    with connection.cursor() as cursor:
        for name in ("ledgerentry", "ledgertransaction"):
            trigger = f"{name.removeprefix('ledger')}"
            cursor.execute(f"ALTER TABLE payments_{name} ENABLE TRIGGER ledger_{trigger}_no_truncate")
        with pytest.raises(IntegrityError, match="append-only"), transaction.atomic():
            cursor.execute(f"TRUNCATE payments_{table} CASCADE")


@pytest.mark.django_db
def test_a_capture_is_booked_once_whatever_the_code_does() -> None:
    payment = paid_payment()
    with pytest.raises(IntegrityError, match="ledger_one_capture_per_payment"), transaction.atomic():
        write(payment.id, ("a", 1999, "USD"), ("b", -1999, "USD"))


@pytest.mark.django_db
def test_the_ledger_tells_what_each_payment_brought() -> None:
    payments = [paid_payment(amount=1000), paid_payment(amount=250)]
    for amount in (300, 200):
        refund, _ = services.request_refund(
            payment_id=payments[0].id, refund_id=uuid7(), amount=usd(amount), reason="return"
        )
        tasks.send_refund(str(refund.id))
    for payment, expected in zip(payments, (500, 250), strict=True):
        payment.refresh_from_db()
        held = LedgerEntry.objects.filter(transaction__payment=payment, account="provider.sandbox")
        assert held.aggregate(sum=Sum("entry_amount"))["sum"] == expected
        assert payment.payment_amount - payment.refunded_amount == expected
    assert LedgerEntry.objects.aggregate(sum=Sum("entry_amount"))["sum"] == 0
