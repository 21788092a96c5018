"""A process that dies before or after any commit and any call of the provider costs nobody money."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar

import pytest
from django.utils import timezone

from payments import services, tasks
from payments.exceptions import PaymentNotConfirmable
from payments.models import (
    Dispute,
    Payment,
    PaymentStatus,
    Reconciliation,
    Refund,
    RefundStatus,
    WebhookEvent,
)
from payments.providers import OutcomeUnknown, Provider, ProviderUnavailable
from shared_lib.exceptions import ServiceUnavailable
from shared_lib.failpoints import NAMES, Hit
from shared_lib.ids import uuid7
from shared_lib.testing.failpoints import armed
from tests.books import check_books, make_due, sweep
from tests.conftest import HookedProvider
from tests.factories import confirm, new_payment, raising, usd
from tests.sandbox_process import SERVICE_FOLDER, Receiver, SandboxProcess, wait_for
from tests.test_webhooks import an_event, signed

_T = TypeVar("_T")

POINTS = NAMES["svc-payments"]
SERVICES = sorted((SERVICE_FOLDER / "payments" / "services").rglob("*.py"))
_CALLS = {name for name in vars(Provider) if not name.startswith("_")} - {
    "verify_webhook",  # these three ask nobody
    "read_event",
    "describe",
}
_WRITES = {"save", "create", "update", "delete", "bulk_create", "bulk_update"}


# Every step has its points


def steps_without_failpoints(source: str) -> Iterator[str]:
    """Transactions, writes outside them and calls of a provider that stand in no `with around(...)` of their own."""

    def named(node: ast.expr) -> str:
        function = node.func if isinstance(node, ast.Call) else node
        return function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")

    def look(node: ast.AST, *, guarded: bool, inside: bool) -> Iterator[str]:
        if isinstance(node, ast.FunctionDef):
            guarded = False
            inside = "Needs the payment's lock" in (
                ast.get_docstring(node) or ""
            ) or "Needs an open transaction" in (ast.get_docstring(node) or "")
        if isinstance(node, ast.With):
            contexts = [named(item.context_expr) for item in node.items]
            guarded = guarded or "around" in contexts
            if "atomic" in contexts:
                if contexts.index("atomic") < (contexts.index("around") if "around" in contexts else 99):
                    yield f"line {node.lineno}: a transaction"
                inside = True
        if isinstance(node, ast.Call):
            if named(node) in _CALLS and isinstance(node.func, ast.Attribute) and not guarded:
                yield f"line {node.lineno}: {named(node)} of the provider"
            on_rows = isinstance(node.func, ast.Attribute) and node.func.attr in _WRITES
            if on_rows and not (inside or guarded):
                yield f"line {node.lineno}: {named(node)} outside a transaction"
        for child in ast.iter_child_nodes(node):
            yield from look(child, guarded=guarded, inside=inside)

    yield from look(ast.parse(source), guarded=False, inside=False)


@pytest.mark.parametrize("path", SERVICES, ids=lambda path: path.stem)
def test_no_step_is_without_its_failpoints(path: Path) -> None:
    assert list(steps_without_failpoints(path.read_text())) == []


@pytest.mark.parametrize(
    "source",
    [
        "with transaction.atomic():\n    pass",
        "with transaction.atomic(), around('x'):\n    pass",
        "def f():\n    provider.refund(x)",
        "def f():\n    with around('x'):\n        pass\n    get_provider(name).get_intent(x)",
        "def f():\n    Payment.objects.filter(pk=1).update(x=1)",
        "with around('x'):\n    def f():\n        payment.save()",
    ],
)
def test_a_step_without_failpoints_is_found(source: str) -> None:
    assert list(steps_without_failpoints(source))


def test_every_point_is_declared_once_and_used() -> None:
    used = set()
    for path in SERVICES:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "around":
                name = str(ast.literal_eval(node.args[0]))
                used |= {f"{name}.before", f"{name}.after"}
    assert used == set(POINTS)
    assert len(POINTS) == len(set(POINTS))


# A crash at each point


class World:
    def __init__(self, provider: HookedProvider, sandbox: SandboxProcess, receiver: Receiver) -> None:
        self.provider = provider
        self.sandbox = sandbox
        self.receiver = receiver

    def pay(self, payment: Payment, token: str = "pm_card_visa") -> Payment:
        """A buyer who tries until it is paid, or at least under way."""
        for _ in range(6):
            with suppress(PaymentNotConfirmable, ServiceUnavailable):
                return insist(lambda: confirm(payment, token))
            insist(sweep)
            payment.refresh_from_db()
            if payment.status not in (PaymentStatus.REQUIRES_PAYMENT_METHOD, PaymentStatus.REQUIRES_ACTION):
                return payment
        raise AssertionError("never paid")

    def deliver(self, reference: str, kind: str) -> None:
        """The provider repeats a webhook until it is taken."""
        headers, body = self.receiver.wait_for(reference, kind)
        self.post(headers["sandbox-signature"], body)

    def post(self, header: str, body: bytes) -> None:
        insist(
            lambda: services.receive_webhook(
                provider_name="sandbox", headers={"Sandbox-Signature": header}, body=body
            )
        )


def insist(step: Callable[[], _T]) -> _T:
    """Again until nobody dies on it, as a client or a worker does; time passes between."""
    for _ in range(3):
        try:
            return step()
        except Hit:
            make_due()
    raise AssertionError("died too often")


def create() -> Payment:
    values: dict[str, Any] = {"payment_id": uuid7(), "order_id": uuid7(), "user_id": uuid7()}
    return insist(lambda: new_payment(**values))


def buys_and_gets_some_back(world: World) -> None:
    payment = world.pay(create())
    refund_id = uuid7()
    insist(
        lambda: services.request_refund(
            payment_id=payment.id, refund_id=refund_id, amount=usd(500), reason="return"
        )
    )
    insist(sweep)
    assert Refund.objects.get().status == RefundStatus.SUCCEEDED
    payment.refresh_from_db()
    assert (payment.status, payment.refunded_amount) == (PaymentStatus.SUCCEEDED, 500)


def finds_the_provider_away(world: World) -> None:
    world.provider.before["create_intent"] = raising(ProviderUnavailable("refused"))
    assert world.pay(create()).status == PaymentStatus.SUCCEEDED


def gets_no_answer(world: World) -> None:
    world.provider.after["confirm_intent"] = raising(OutcomeUnknown("cut"))
    payment = world.pay(create())
    insist(sweep)
    payment.refresh_from_db()
    assert payment.status == PaymentStatus.SUCCEEDED


def gives_up_before_paying(world: World) -> None:
    payment = create()
    assert insist(lambda: services.cancel_payment(payment_id=payment.id)).status == PaymentStatus.CANCELED


def gives_up_at_three_d_secure(world: World) -> None:
    payment = confirm(create(), "pm_card_authenticationRequired")
    assert insist(lambda: services.cancel_payment(payment_id=payment.id)).status == PaymentStatus.CANCELED


def pays_slowly(world: World) -> None:
    payment = world.pay(create(), "pm_card_delayed")
    world.deliver(payment.provider_reference, "succeeded")
    insist(sweep)
    payment.refresh_from_db()
    assert payment.status == PaymentStatus.SUCCEEDED


def fails_at_three_d_secure(world: World) -> None:
    payment = confirm(create(), "pm_card_authenticationRequired")
    world.sandbox.answer_challenge(payment.action_url, "fail")
    world.deliver(payment.provider_reference, "payment_failed")
    insist(tasks.process_due_webhook_events)
    insist(tasks.process_due_webhook_events)
    payment.refresh_from_db()
    assert payment.status == PaymentStatus.REQUIRES_PAYMENT_METHOD


def hears_of_another_amount(world: World) -> None:
    payment = confirm(create(), "pm_card_authenticationRequired")
    body = an_event(payment, amount=1)
    world.post(signed(body), body)
    insist(tasks.process_due_webhook_events)
    assert insist(lambda: services.cancel_payment(payment_id=payment.id)).status == PaymentStatus.CANCELED
    WebhookEvent.objects.all().delete()


def forgets_old_webhooks(world: World) -> None:
    old = timezone.now() - timedelta(days=40)
    WebhookEvent.objects.create(provider="sandbox", event_id="evt_1", type="x", payload={}, settled_at=old)
    insist(services.delete_settled_webhook_events)
    assert not WebhookEvent.objects.exists()


def dies_before_anything_is_charged(world: World) -> None:
    payment = create()
    with armed("payments.confirm.create_intent.after"), suppress(Hit):
        confirm(payment)
    make_due()
    insist(tasks.reconcile_open_attempts)
    insist(tasks.reconcile_open_attempts)
    assert world.pay(payment).status == PaymentStatus.SUCCEEDED


def meets_a_dispute(world: World) -> None:
    payment = world.pay(create(), "pm_card_createDispute")
    world.deliver(payment.provider_reference, "dispute.created")
    insist(sweep)
    assert Dispute.objects.get().status == "open"


def is_compared_with_the_provider(world: World) -> None:
    began = timezone.now()
    payment = world.pay(create(), "pm_card_delayed")
    wait_for(lambda: world.sandbox.intent(payment.provider_reference)["status"] == "succeeded")
    insist(lambda: services.compare_with_provider(provider_name="sandbox", since=began))
    payment.refresh_from_db()
    assert payment.status == PaymentStatus.SUCCEEDED


def forgets_old_comparisons(world: World) -> None:
    Reconciliation.objects.create(provider="sandbox", since=timezone.now())
    Reconciliation.objects.update(created_at=timezone.now() - timedelta(days=91))
    insist(services.delete_old_comparisons)
    assert not Reconciliation.objects.exists()


JOURNEYS: dict[str, Callable[[World], None]] = {
    "payments.create": buys_and_gets_some_back,
    "payments.confirm.claim": buys_and_gets_some_back,
    "payments.confirm.create_intent": buys_and_gets_some_back,
    "payments.confirm.reference": buys_and_gets_some_back,
    "payments.confirm.provider": buys_and_gets_some_back,
    "payments.confirm.release": finds_the_provider_away,
    "payments.confirm.wait": gets_no_answer,
    "payments.outcome": buys_and_gets_some_back,
    "payments.cancel.here": gives_up_before_paying,
    "payments.cancel.provider": gives_up_at_three_d_secure,
    "refunds.request": buys_and_gets_some_back,
    "refunds.provider": buys_and_gets_some_back,
    "refunds.outcome": buys_and_gets_some_back,
    "webhooks.store": pays_slowly,
    "webhooks.provider": fails_at_three_d_secure,
    "webhooks.settle": pays_slowly,
    "webhooks.note": hears_of_another_amount,
    "webhooks.forget": forgets_old_webhooks,
    "reconcile.provider": gets_no_answer,
    "reconcile.abandon": dies_before_anything_is_charged,
    "reconcile.begin": is_compared_with_the_provider,
    "reconcile.page": is_compared_with_the_provider,
    "reconcile.ask": is_compared_with_the_provider,
    "reconcile.report": is_compared_with_the_provider,
    "reconcile.forget": forgets_old_comparisons,
    "disputes.outcome": meets_a_dispute,
}


@pytest.mark.django_db
@pytest.mark.parametrize("point", POINTS)
def test_a_crash_at_any_point_moves_money_exactly_once(
    point: str, provider: HookedProvider, sandbox: SandboxProcess, receiver: Receiver
) -> None:
    world = World(provider, sandbox, receiver)
    with armed(point):
        JOURNEYS[point.rpartition(".")[0]](world)
    sweep()
    check_books(sandbox)
