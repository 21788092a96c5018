"""The comparison with the provider: what it heals, what it reports, and what it leaves alone."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError
from django.db import connection
from django.utils import timezone

from payments import services, tasks
from payments.models import Difference, Payment, PaymentStatus, Reconciliation, Refund
from payments.providers import OutcomeUnknown
from payments.providers import sandbox as sandbox_module
from payments.providers import stripe as stripe_module
from shared_lib.contracts.events import PaymentDisputed, PaymentSucceeded
from shared_lib.ids import uuid7
from shared_lib.testing.races import at_once
from tests.books import check_books
from tests.factories import confirm, new_payment, offered, paid_payment, raising, usd
from tests.sandbox_process import Receiver, SandboxProcess, wait_for
from tests.stripe_dialect import StripeDialect

pytestmark = [pytest.mark.django_db, pytest.mark.both_providers]

Published = Callable[[type], list[Any]]


@pytest.fixture
def since(sandbox: SandboxProcess, dialect: StripeDialect) -> datetime:
    """From here on, since other tests leave payments at the sandbox that no database knows any more."""
    now = timezone.now()
    dialect.began = now.timestamp()
    return now


def compare(since: datetime) -> list[tuple[str, str, str, bool]]:
    run = services.compare_with_provider(provider_name=offered(), since=since)
    assert run is not None
    assert run.finished_at is not None
    rows = run.differences.order_by("created_at", "id")
    return [(row.kind, row.ours, row.theirs, row.healed) for row in rows]


def settled(sandbox: SandboxProcess, payment: Payment) -> Payment:
    wait_for(lambda: sandbox.intent(payment.provider_reference)["status"] == "succeeded")
    return payment


def by_hand(sandbox: SandboxProcess, path: str, body: dict[str, Any]) -> dict[str, Any]:
    """What somebody does at the provider without us."""
    answer = sandbox.post(path, body, key=str(uuid7()))
    assert answer.status_code == 200, answer.text
    document: dict[str, Any] = answer.json()
    return document


def test_where_both_agree_there_is_no_difference(sandbox: SandboxProcess, since: datetime) -> None:
    paid_payment()
    confirm(new_payment(), "pm_card_authenticationRequired")
    services.cancel_payment(payment_id=confirm(new_payment(), "pm_card_authenticationRequired").id)
    payment = paid_payment()
    refund, _ = services.request_refund(
        payment_id=payment.id, refund_id=uuid7(), amount=usd(500), reason="return"
    )
    tasks.send_refund(str(refund.id))
    new_payment()
    assert compare(since) == []
    assert Reconciliation.objects.get().compared == 5


def test_a_dropped_webhook_is_found_and_healed(
    sandbox: SandboxProcess, since: datetime, published: Published
) -> None:
    before = sandbox.http.post("/control/faults", json={"drop": 1.0}).json()["counters"]["dropped"]
    try:
        payment = settled(sandbox, confirm(new_payment(), "pm_card_delayed"))
    finally:
        counters = sandbox.http.delete("/control/faults").json()["counters"]
    assert counters["dropped"] == before + 2
    assert compare(since) == [("status", "processing", "succeeded", True)]
    payment.refresh_from_db()
    assert payment.status == PaymentStatus.SUCCEEDED
    assert len(published(PaymentSucceeded)) == 1
    assert compare(since) == []
    check_books(sandbox)


def test_a_dispute_that_nobody_told_us_of_is_found_and_healed(
    sandbox: SandboxProcess, receiver: Receiver, since: datetime, published: Published
) -> None:
    payment = paid_payment(payment_method="pm_card_createDispute")
    receiver.wait_for(payment.provider_reference, "dispute.created")
    assert compare(since) == [("dispute", "", "open, 19.99 USD", True)]
    assert len(published(PaymentDisputed)) == 1
    assert compare(since) == []
    check_books(sandbox)


def test_a_refund_that_ended_unheard_is_found_and_healed(sandbox: SandboxProcess, since: datetime) -> None:
    for token, end in (("pm_card_pendingRefund", "succeeded"), ("pm_card_refundFail", "failed")):
        payment = paid_payment(payment_method=token)
        refund, _ = services.request_refund(
            payment_id=payment.id, refund_id=uuid7(), amount=usd(500), reason="return"
        )
        tasks.send_refund(str(refund.id))
        refund.refresh_from_db()
        path = f"/v1/refunds/{refund.provider_reference}"
        wait_for(lambda path=path: sandbox.http.get(path).json()["status"] != "pending")  # type: ignore[misc]
        assert compare(since) == [("refund_status", "pending, 5.00 USD", f"{end}, 5.00 USD", True)]
    check_books(sandbox)


def test_a_payment_at_the_provider_that_nobody_here_asked_for_is_reported(
    sandbox: SandboxProcess, since: datetime
) -> None:
    intent = by_hand(sandbox, "/v1/payment_intents", {"amount": 700, "currency": "USD"})
    by_hand(sandbox, f"/v1/payment_intents/{intent['id']}/confirm", {"payment_method": "pm_card_visa"})
    for _ in range(2):
        assert compare(since) == [("unknown_payment", "", "succeeded, 7.00 USD", False)]


def test_an_intent_that_its_dead_process_never_stored_is_no_difference(
    sandbox: SandboxProcess, since: datetime
) -> None:
    payment = new_payment()
    metadata = {"payment_id": str(payment.id)}
    ours = {"amount": 1999, "currency": "USD", "metadata": metadata}
    intent = by_hand(sandbox, "/v1/payment_intents", ours)
    assert compare(since) == []
    by_hand(sandbox, f"/v1/payment_intents/{intent['id']}/confirm", {"payment_method": "pm_card_visa"})
    assert compare(since) == [("unknown_payment", "", "succeeded, 19.99 USD", False)]


def test_a_refund_that_somebody_made_by_hand_is_reported(sandbox: SandboxProcess, since: datetime) -> None:
    payment = paid_payment()
    by_hand(sandbox, "/v1/refunds", {"payment_intent": payment.provider_reference, "amount": 300})
    assert compare(since) == [("unknown_refund", "", "succeeded, 3.00 USD", False)]
    assert Difference.objects.get().payment == payment


def test_what_the_provider_does_not_have_is_reported(sandbox: SandboxProcess, since: datetime) -> None:
    payment = confirm(new_payment(), "pm_card_authenticationRequired")
    other = paid_payment()
    refund, _ = services.request_refund(
        payment_id=other.id, refund_id=uuid7(), amount=usd(500), reason="return"
    )
    Payment.objects.filter(pk=payment.pk).update(provider_reference="pi_none")
    Refund.objects.filter(pk=refund.pk).update(provider_reference="re_none")
    found = compare(since)
    assert ("missing_payment", "requires_action, 19.99 USD", "", False) in found
    assert ("missing_refund", "pending, 5.00 USD", "", False) in found
    assert ("unknown_payment", "", "requires_action, 19.99 USD", False) in found
    assert len(found) == 3


def test_another_amount_is_reported_and_books_nothing(sandbox: SandboxProcess, since: datetime) -> None:
    payment = confirm(new_payment(), "pm_card_delayed")
    settled(sandbox, payment)
    Payment.objects.filter(pk=payment.pk).update(payment_amount=2000)
    assert compare(since) == [("amount", "processing, 20.00 USD", "succeeded, 19.99 USD", False)]
    payment.refresh_from_db()
    assert payment.status == PaymentStatus.PROCESSING


def test_a_balance_that_does_not_come_out_is_reported(sandbox: SandboxProcess, since: datetime) -> None:
    payment = paid_payment()
    with connection.cursor() as cursor:  # as somebody might who has the owner's password and no fear
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        cursor.execute("ALTER TABLE payments_ledgerentry DISABLE TRIGGER ledger_entry_append_only")
        cursor.execute("UPDATE payments_ledgerentry SET entry_amount = sign(entry_amount) * 1998")
        cursor.execute("ALTER TABLE payments_ledgerentry ENABLE TRIGGER ledger_entry_append_only")
    assert compare(since) == [("balance", "1998", "1999", False)]
    assert Difference.objects.get().payment == payment


def test_every_page_is_read(
    sandbox: SandboxProcess, since: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (sandbox_module, stripe_module):
        monkeypatch.setattr(module, "_PAGE", 2)
    payments = [confirm(new_payment(), "pm_card_delayed") for _ in range(5)]
    for payment in payments:
        settled(sandbox, payment)
    assert compare(since) == [("status", "processing", "succeeded", True)] * 5
    assert compare(since) == []


def test_what_changes_while_it_compares_is_no_difference(
    provider: Any, sandbox: SandboxProcess, since: datetime
) -> None:
    """The list still says that it waits; by the time it is looked at, it has been paid."""
    payment = confirm(new_payment(), "pm_card_authenticationRequired")
    refunded = paid_payment()

    def meanwhile() -> None:
        confirm(payment)
        refund, _ = services.request_refund(
            payment_id=refunded.id, refund_id=uuid7(), amount=usd(500), reason="return"
        )
        tasks.send_refund(str(refund.id))
        paid_payment()

    provider.after["list_intents"] = meanwhile
    assert compare(since) == []
    check_books(sandbox)


def test_a_confirmation_that_is_running_is_left_alone(
    provider: Any, sandbox: SandboxProcess, since: datetime
) -> None:
    payment = new_payment()
    found: list[Any] = []
    provider.after["confirm_intent"] = lambda: found.extend(compare(since))
    assert confirm(payment).status == PaymentStatus.SUCCEEDED
    assert found == []


def test_the_hourly_comparison_runs_once_however_often_it_is_started(sandbox: SandboxProcess) -> None:
    tasks.compare_with_providers()
    tasks.compare_with_providers()
    assert Reconciliation.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_hourly_comparisons_at_once_are_one(sandbox: SandboxProcess) -> None:
    at_once(*[tasks.compare_with_providers] * 3)
    assert Reconciliation.objects.count() == 1


def test_a_provider_that_is_away_leaves_the_comparison_unfinished(
    provider: Any, sandbox: SandboxProcess
) -> None:
    provider.before["list_refunds"] = raising(OutcomeUnknown("cut"))
    tasks.compare_with_providers()
    assert Reconciliation.objects.get().finished_at is None


def command(*arguments: str) -> tuple[str, str]:
    """What `manage.py reconcile` writes, and why it ends with an error, if it does."""
    out = StringIO()
    try:
        call_command("reconcile", *arguments, stdout=out)
    except CommandError as error:
        return out.getvalue(), str(error)
    return out.getvalue(), ""


def test_the_command_reports_every_difference_and_fails_for_those_that_are_left(
    sandbox: SandboxProcess, since: datetime
) -> None:
    moment = since.isoformat()
    payment = settled(sandbox, confirm(new_payment(), "pm_card_delayed"))
    text, error = command("--since", moment)
    assert error == ""
    assert "1 compared, 1 differences, 1 healed, 0 left" in text
    assert (
        f"healed  payment {payment.id}  status {payment.provider_reference}: processing here, succeeded there"
        in text
    )

    by_hand(sandbox, "/v1/refunds", {"payment_intent": payment.provider_reference, "amount": 300})
    text, error = command("--since", moment, "--provider", offered())
    assert error == "1 difference left, for people to look at."
    assert "LEFT" in text
    assert "nothing here, succeeded, 3.00 USD there" in text


@pytest.mark.parametrize(
    "since", ["yesterday", "0d", "2026-11-22", "2026-13-01T00:00:00Z", "2026-11-22T00:00:00"]
)
def test_a_time_that_is_none_is_refused(since: str) -> None:
    assert command("--since", since) == (
        "",
        f"{since!r} is no time: write 90m, 36h, 7d, or 2026-11-22T00:00:00Z.",
    )


def test_the_command_says_when_the_provider_does_not_answer(provider: Any, sandbox: SandboxProcess) -> None:
    provider.before["list_intents"] = raising(OutcomeUnknown("cut"))
    assert command("--since", "1m") == ("", f"{offered()} does not answer: cut. Run it again.")


def test_old_comparisons_without_findings_are_forgotten(since: datetime) -> None:
    old = timezone.now() - timedelta(days=91)
    for findings in (0, 1):
        run = Reconciliation.objects.create(provider="sandbox", since=since, finished_at=old)
        for _ in range(findings):
            Difference.objects.create(reconciliation=run, kind="status", provider_reference="pi_1")
    Reconciliation.objects.update(created_at=old)
    tasks.delete_settled_webhook_events()
    assert (
        Reconciliation.objects.filter(differences__isnull=False).count()
        == Reconciliation.objects.count()
        == 1
    )
