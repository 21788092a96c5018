"""The ledger's rules as PostgreSQL keeps them, whoever writes."""

from __future__ import annotations

from threading import Barrier
from uuid import UUID

import pytest
from django.db import IntegrityError, connection, transaction
from django.db.models import Sum

from payments import services, tasks
from payments.models import LedgerAccount, LedgerEntry, LedgerTransaction, Payment, Refund, RefundStatus
from shared_lib.ids import uuid7
from shared_lib.testing.races import at_once
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


def run(*statements: str) -> None:
    with connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)


def book_by_hand(payment: Payment, amount: int) -> None:
    """Money back in the ledger alone, past every rule of the code."""
    refund = Refund.objects.create(
        payment=payment, refund_amount=amount, currency="USD", status=RefundStatus.FAILED, due_at=None
    )
    transaction_id = uuid7()
    LedgerTransaction.objects.create(id=transaction_id, kind="refund", payment=payment, refund=refund)
    LedgerAccount.objects.bulk_create(
        [LedgerAccount(code="customers"), LedgerAccount(code="provider.sandbox")], ignore_conflicts=True
    )
    for account, moved in (("customers", amount), ("provider.sandbox", -amount)):
        LedgerEntry.objects.create(
            transaction_id=transaction_id, account_id=account, entry_amount=moved, currency="USD"
        )


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
@pytest.mark.parametrize(
    "table", ["ledgerentry", "ledgertransaction", "ledgeraccount", "payment", "refund", "dispute"]
)
def test_the_ledger_is_not_truncated_not_even_with_another_table(table: str) -> None:
    with connection.cursor() as cursor:
        for name in ("ledgerentry", "ledgertransaction"):
            trigger = f"{name.removeprefix('ledger')}"
            cursor.execute(f"ALTER TABLE payments_{name} ENABLE TRIGGER ledger_{trigger}_no_truncate")
        with pytest.raises(IntegrityError, match="append-only"), transaction.atomic():
            cursor.execute(f"TRUNCATE payments_{table} CASCADE")


@pytest.mark.django_db
def test_all_of_this_holds_for_the_owner_of_the_tables() -> None:
    """The service's own role owns them, and these tests run as it: no rule here is one of privileges."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT tableowner = current_user FROM pg_tables WHERE tablename LIKE 'payments\\_ledger%'"
        )
        assert cursor.fetchall() == [(True,)] * 3


@pytest.mark.django_db
@pytest.mark.parametrize(
    "statement",
    ["UPDATE payments_ledgeraccount SET code = 'x'", "DELETE FROM payments_ledgeraccount"],
)
def test_an_account_that_was_used_keeps_its_name(statement: str) -> None:
    paid_payment()
    with pytest.raises(IntegrityError), transaction.atomic():
        run(statement, "SET CONSTRAINTS ALL IMMEDIATE")


@pytest.mark.django_db(transaction=True)
def test_checking_early_does_not_help_to_slip_something_in() -> None:
    payment = new_payment()

    def slip_in() -> None:
        movement = write(payment.id, ("a", 100, "USD"), ("b", -100, "USD"))
        run("SET CONSTRAINTS ALL IMMEDIATE", "SET CONSTRAINTS ALL DEFERRED")
        LedgerEntry.objects.create(transaction_id=movement, account_id="a", entry_amount=1, currency="USD")

    with pytest.raises(IntegrityError, match="does not sum to zero"), transaction.atomic():
        slip_in()
    assert not LedgerTransaction.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_a_forged_writer_does_not_help_either() -> None:
    payment = new_payment()
    with (
        pytest.raises(IntegrityError, match="written by another"),
        transaction.atomic(),
        connection.cursor() as cursor,
    ):
        cursor.execute(
            "INSERT INTO payments_ledgertransaction (id, kind, payment_id, written_by)"
            " VALUES (%s, 'capture', %s, txid_current() + 1)",
            [uuid7(), payment.id],
        )


@pytest.mark.django_db(transaction=True)
def test_the_ledger_gives_nobody_more_than_was_captured_from_him() -> None:
    payment = paid_payment(amount=1000)
    with pytest.raises(IntegrityError, match="1 more than was captured"), transaction.atomic():
        book_by_hand(payment, 1001)
    with transaction.atomic():
        book_by_hand(payment, 1000)
    with pytest.raises(IntegrityError, match="more than was captured"), transaction.atomic():
        book_by_hand(new_payment(), 1)


@pytest.mark.django_db(transaction=True)
def test_two_writers_who_lock_nothing_are_judged_one_after_the_other() -> None:
    """Each alone would be right; neither sees the other before it commits."""
    payment = paid_payment(amount=1000)
    both_written = Barrier(2)

    def write_and_wait() -> None:
        with transaction.atomic():
            book_by_hand(payment, 600)
            both_written.wait(10)

    results = at_once(write_and_wait, write_and_wait)
    assert sorted(type(result).__name__ for result in results) == ["IntegrityError", "NoneType"]
    assert LedgerTransaction.objects.filter(kind="refund").count() == 1


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE payments_payment SET refunding_amount = 0",
        "UPDATE payments_payment SET refunded_amount = 100",
        "UPDATE payments_refund SET refund_amount = 600",
        "UPDATE payments_refund SET status = 'failed', due_at = NULL",
        "UPDATE payments_refund SET status = 'succeeded', due_at = NULL",
        "DELETE FROM payments_refund",
    ],
)
def test_a_payment_and_its_refunds_cannot_tell_different_things(statement: str) -> None:
    payment = paid_payment(amount=1000)
    services.request_refund(payment_id=payment.id, refund_id=uuid7(), amount=usd(500), reason="return")
    with (
        pytest.raises(IntegrityError, match="add up to"),
        transaction.atomic(),
        connection.cursor() as cursor,
    ):
        cursor.execute(statement)


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
