"""Random lives of payments: confirmations, declines, faults, crashes, webhooks in any order and twice, cancellations, refunds,
disputes, comparisons. After each step what must always hold is checked, and after each life that all has come to a good end.

SHOP_SEQUENCES sets how many lives there are, of 20 steps each; without it it is a short, repeatable run.
"""

from __future__ import annotations

import tempfile
import time
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from django.db import connection, transaction
from django.db.models import Sum
from hypothesis import HealthCheck, note, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from payments import providers, services, tasks
from payments.models import (
    LedgerEntry,
    LedgerTransaction,
    Payment,
    PaymentAttempt,
    PaymentStatus,
    Refund,
    WebhookEvent,
)
from payments.providers.sandbox import SandboxProvider
from sandbox.app import Sandbox
from sandbox.faults import Faults
from sandbox.http import Request
from sandbox.settings import Secrets, Settings
from sandbox.store import Store
from sandbox.webhooks import signature
from shared_lib import failpoints
from shared_lib.exceptions import DomainError
from shared_lib.failpoints import NAMES, Hit
from shared_lib.ids import uuid7
from shared_lib.outbox.models import OutboxEvent
from shared_lib.testing.sequences import REPEATABLE, sequences
from tests.books import check_books, make_due
from tests.factories import usd
from tests.sandbox_process import API_KEY, WEBHOOK_SECRET

_LIVES = sequences(12)
_STEPS = 20

TOKENS = (
    "pm_card_visa",
    "pm_card_visa",
    "pm_card_visa",
    "pm_card_chargeDeclined",
    "pm_card_authenticationRequired",
    "pm_card_delayed",
    "pm_card_pendingRefund",
    "pm_card_refundFail",
    "pm_card_createDispute",
)
# What may happen to one request: nobody is there, it does not arrive, its answer does not.
NETWORK = (None, None, None, None, None, "away", "lost", "unanswered")


def crash(*steps: str) -> st.SearchStrategy[str | None]:
    """Seldom one of the points of these steps."""
    points = tuple(point for point in NAMES["svc-payments"] if point.startswith(steps))
    return st.sampled_from((None,) * 3 * len(points) + points)


took: Counter[str] = Counter()


class InProcess(httpx.BaseTransport):
    """The sandbox's own code behind the service's own client, with no network and no clock between them."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox
        self.fault: str | None = None

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        fault, self.fault = self.fault, None
        if fault == "away":
            raise httpx.ConnectError("refused")
        if fault == "lost":
            raise httpx.ReadTimeout("lost")
        url = request.url
        given = Request(
            request.method, url.path, dict(request.headers), request.read(), url.query.decode("ascii")
        )
        answer = self._sandbox._respond(given)
        if fault == "unanswered":
            raise httpx.ReadTimeout("unanswered")
        return httpx.Response(answer.status, headers=answer.headers, content=answer.body)


class Lives(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self._folder = tempfile.TemporaryDirectory()
        self.store = Store(Path(self._folder.name) / "sandbox.sqlite3")
        environment = Settings(
            database=Path(self._folder.name),
            api_keys=Secrets(API_KEY),
            webhook_secrets=Secrets(WEBHOOK_SECRET),
            webhook_url="http://shop.test/",
            public_url="http://shop.test/dev/payments",
            host="",
            port=0,
            settle_seconds=3600.0,
            webhook_seconds=0.0,
            faults=Faults(),
        )
        self.there = Sandbox(environment, self.store)
        self.network = InProcess(self.there)
        self.provider = SandboxProvider(
            url="http://sandbox.test", api_key=API_KEY, webhook_secret=WEBHOOK_SECRET, timeout_seconds=1.0
        )
        self.provider._http._transport = self.network
        self.provider._http._mounts = {}
        self._real = providers.get_provider
        providers.get_provider = lambda name: self.provider  # type: ignore[assignment]
        self.payments: list[Payment] = []
        self.states: set[str] = set()
        self._transaction = transaction.atomic()
        self._transaction.__enter__()

    def teardown(self) -> None:
        try:
            self._end_well()
        finally:
            transaction.set_rollback(True)
            self._transaction.__exit__(None, None, None)
            providers.get_provider = self._real
            self.provider.close()
            self.store.close()
            self._folder.cleanup()
            took["lives"] += 1

    def intent(self, reference: str) -> dict[str, Any]:
        return self.there._intents.get(reference)

    def _survive(self, what: str, step: Callable[[], Any], crash: str | None, fault: str | None) -> None:
        """Runs a step on a bad day: its process may die at `crash`, its next request may meet `fault`."""
        if crash:
            failpoints._here[crash] = failpoints.action_of("raise")
        self.network.fault = fault
        took["steps"] += 1
        try:
            outcome = step()
            took[what] += 1
            note(f"{what}: {outcome}")
        except Hit:
            took["crashes"] += 1
            note(f"{what}: died at {crash}")
        except (DomainError, providers.ProviderError) as error:
            took[f"{what} refused"] += 1
            note(f"{what}: {error!r}")
        finally:
            self.network.fault = None
            if crash:
                failpoints._here.pop(crash, None)

    def _pick(self, which: int, *statuses: str) -> Payment:
        """Mostly one in a state in which something comes of it."""
        for payment in self.payments:
            payment.refresh_from_db()
        fitting = [payment for payment in self.payments if payment.status in statuses]
        some = fitting if fitting and which % 5 else self.payments
        return some[which % len(some)]

    # What happens

    @initialize(amount=st.integers(1, 5000), token=st.sampled_from(TOKENS))
    def buy_something(self, amount: int, token: str) -> None:
        self.order(amount)
        self.confirm(0, token, None, None)

    @precondition(lambda self: len(self.payments) < 6)
    @rule(amount=st.integers(1, 5000))
    def order(self, amount: int) -> None:
        payment, _ = services.create_payment(
            payment_id=uuid7(), order_id=uuid7(), user_id=uuid7(), amount=usd(amount)
        )
        self.payments.append(payment)

    @precondition(lambda self: self.payments)
    @rule(
        which=st.integers(0, 99),
        token=st.sampled_from(TOKENS),
        crash=crash("payments.confirm", "payments.outcome"),
        fault=st.sampled_from(NETWORK),
    )
    def confirm(self, which: int, token: str, crash: str | None, fault: str | None) -> None:
        payment = self._pick(which, "requires_payment_method", "requires_action")
        self._survive(
            "confirm",
            lambda: services.confirm_payment(
                user_id=payment.user_id, payment_id=payment.id, payment_method=token
            ),
            crash,
            fault,
        )

    @precondition(lambda self: self.payments)
    @rule(which=st.integers(0, 99), authorised=st.booleans())
    def answer_three_d_secure(self, which: int, authorised: bool) -> None:
        payment = self._pick(which, "requires_action")
        if payment.action_url:
            challenge = payment.action_url.rpartition("/")[2]
            with self.store.transaction():
                self.there._intents.answer_challenge(challenge, authorised=authorised)
            took["3-D Secure"] += 1

    @rule()
    def let_time_pass_there(self) -> None:
        with self.store.transaction():
            self.there._intents.settle_due(time.time() + 7200)

    @rule(which=st.integers(0, 30), copies=st.integers(1, 2), crash=crash("webhooks"))
    def deliver_a_webhook(self, which: int, copies: int, crash: str | None) -> None:
        """Any one that was ever made: late, out of order, and again."""
        made = self.store.all("SELECT body FROM events ORDER BY created, id")
        if made:
            for _ in range(copies):
                self._survive("webhook", lambda: self._tell(made[which % len(made)]["body"]), crash, None)

    @rule(
        crash=crash("reconcile", "webhooks", "refunds", "disputes", "payments.outcome"),
        fault=st.sampled_from(NETWORK),
    )
    def work(self, crash: str | None, fault: str | None) -> None:
        self._survive("work", self._sweep, crash, fault)

    @precondition(lambda self: self.payments)
    @rule(
        which=st.integers(0, 99),
        crash=crash("payments.cancel", "payments.outcome"),
        fault=st.sampled_from(NETWORK),
    )
    def cancel(self, which: int, crash: str | None, fault: str | None) -> None:
        payment = self._pick(which, "requires_action", "processing", "succeeded")
        self._survive("cancel", lambda: services.cancel_payment(payment_id=payment.id), crash, fault)

    @precondition(lambda self: "succeeded" in self.states)
    @rule(which=st.integers(0, 99), percent=st.integers(1, 110), times=st.integers(1, 2))
    def refund(self, which: int, percent: int, times: int) -> None:
        payment = self._pick(which, "succeeded")
        amount = usd(max(1, payment.payment_amount * percent // 100))
        refund_id = uuid7()
        for _ in range(times):
            self._survive(
                "refund",
                lambda: services.request_refund(
                    payment_id=payment.id, refund_id=refund_id, amount=amount, reason=""
                ),
                None,
                None,
            )

    @rule(won=st.booleans())
    def decide_disputes(self, won: bool) -> None:
        for row in self.store.all("SELECT id FROM disputes"):
            with self.store.transaction():
                self.there._intents.close_dispute(row["id"], won=won)

    @rule(crash=crash("reconcile", "disputes", "payments.outcome"), fault=st.sampled_from(NETWORK))
    def compare(self, crash: str | None, fault: str | None) -> None:
        self._survive("compare", self._compare, crash, fault)

    def _tell(self, body: bytes) -> None:
        header = signature(WEBHOOK_SECRET, int(time.time()), body)
        services.receive_webhook(provider_name="sandbox", headers={"Sandbox-Signature": header}, body=body)

    def _sweep(self) -> None:
        make_due()
        tasks.process_due_webhook_events()
        tasks.reconcile_open_attempts()
        tasks.send_due_refunds()

    def _compare(self) -> None:
        run = services.compare_with_provider(provider_name="sandbox", since=datetime(2020, 1, 1, tzinfo=UTC))
        assert run is not None
        left = run.differences.filter(healed=False).exclude(kind="status")
        assert not list(left), "nobody does anything by hand in these lives"

    # What always holds

    @invariant()
    def the_database_agrees(self) -> None:
        """All that it checks at commit, now."""
        with connection.cursor() as cursor:
            cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
            cursor.execute("SET CONSTRAINTS ALL DEFERRED")

    @invariant()
    def money_is_where_the_books_say(self) -> None:
        payments = list(Payment.objects.all())
        self.states = {payment.status for payment in payments}
        for payment in payments:
            paid = payment.status == PaymentStatus.SUCCEEDED
            captures = LedgerTransaction.objects.filter(payment=payment, kind="capture").count()
            assert captures == (1 if paid else 0)
            of_buyer = LedgerEntry.objects.filter(transaction__payment=payment, account="customers")
            owed = -(of_buyer.aggregate(sum=Sum("entry_amount"))["sum"] or 0)
            assert owed == (payment.payment_amount - payment.refunded_amount if paid else 0)
            assert 0 <= payment.refunding_amount + payment.refunded_amount <= payment.payment_amount
            if not payment.provider_reference:
                assert not paid
                continue
            intent = self.intent(payment.provider_reference)
            assert intent["amount_refunded"] >= payment.refunded_amount
            if paid or payment.status == PaymentStatus.CANCELED:
                assert intent["status"] == payment.status
            elif intent["status"] == "succeeded":
                assert PaymentAttempt.objects.filter(payment=payment, due_at__isnull=False).exists(), (
                    "whoever was charged is known to be asked about"
                )

    @invariant()
    def what_was_told_is_what_is(self) -> None:
        for payment in Payment.objects.all():
            told = OutboxEvent.objects.filter(subject=str(payment.id)).order_by("created_at", "id")
            versions = [self._version(event) for event in told]
            assert versions == sorted(set(versions)), "each version is told once, in its order"
            assert not versions or versions[-1] <= payment.version
            assert told.filter(type="payment.succeeded.v1").count() == (
                1 if payment.status == "succeeded" else 0
            )
            assert told.filter(type="payment.canceled.v1").count() == (
                1 if payment.status == "canceled" else 0
            )

    def _version(self, event: OutboxEvent) -> int:
        import orjson

        return int(orjson.loads(event.body)["data"]["version"])

    def _end_well(self) -> None:
        """Everything is delivered and asked for; then nothing is under way any more."""
        for _ in range(3):
            self.let_time_pass_there()
            for row in self.store.all("SELECT body FROM events ORDER BY created, id"):
                self._tell(row["body"])
            self._sweep()
        assert not WebhookEvent.objects.filter(due_at__isnull=False).exists()
        assert not Refund.objects.filter(status="pending").exists()
        check_books(self)  # type: ignore[arg-type]
        self._compare()
        self.the_database_agrees()


@pytest.mark.django_db
def test_whatever_happens_money_moves_once_and_the_books_are_right() -> None:
    took.clear()
    run_state_machine_as_test(
        Lives,
        settings=settings(
            max_examples=_LIVES,
            stateful_step_count=_STEPS,
            deadline=None,
            derandomize=REPEATABLE,
            database=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
    print(dict(took))
    assert took["lives"] >= _LIVES
    kinds = {"confirm", "refund"}
    if _LIVES >= 100:
        kinds |= {"webhook", "work", "cancel", "compare", "crashes"}
    assert not {kind for kind in kinds if not took[kind]}, "what happened in no life"
