"""Compares everything that was made at a provider since some moment with what we know of it, page by page.

Where the provider's word is enough we take it, as from a webhook: a state, a refund's end, a dispute. Those differences are
reported as healed. What no word can heal is reported for people: a payment or a refund that we never asked for, one of ours
that the provider does not have, another amount, a balance that does not come out.

While it runs, buyers pay. So a difference counts only if it is still there when the provider is asked about that one thing
again, and balances are compared only of payments that did not change meanwhile.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import TypeVar

import structlog
from django.db import connection, transaction
from django.db.models import Q, Sum
from django.utils import timezone

from payments import ledger, providers
from payments.exceptions import ProviderMismatch, ToldTooEarly
from payments.models import (
    AttemptState,
    Difference,
    Dispute,
    Payment,
    Reconciliation,
    Refund,
)
from payments.providers import Intent, Page, Provider, ProviderDispute, ProviderRefund
from payments.services import disputes, outcomes, refunds
from shared_lib.failpoints import around

logger = structlog.get_logger(__name__)

_T = TypeVar("_T")
_Kind = Difference.Kind

# Two runs over the same time within this are one: a beat that is doubled, or an impatient person.
_RECENT = timedelta(minutes=5)
_KEPT = timedelta(days=90)
_CHUNK = 500


def compare_with_provider(
    *, provider_name: str, since: datetime, unless_recent: bool = False
) -> Reconciliation | None:
    """Compares, heals what can be healed, and stores the rest. `reconciliation.differences` are all that were found.

    `unless_recent`: None, and nothing is done, when such a comparison has begun a moment ago.
    Raises `ProviderError` when the provider does not answer (the run then has no `finished_at`), `LookupError` for a provider
    that the shop does not have.
    """
    provider = providers.get_provider(provider_name)
    run = _begin(provider_name, since, unless_recent=unless_recent)
    if run is None:
        return None
    found = _Comparison(provider, run).compare()
    with around("reconcile.report"), transaction.atomic():
        Difference.objects.bulk_create(found)
        run.finished_at = timezone.now()
        run.save(update_fields=["finished_at", "compared", "updated_at"])
    for difference in found:
        log = logger.warning if difference.healed else logger.error
        log(
            "provider_difference",
            provider=provider_name,
            difference=str(difference),
            healed=difference.healed,
        )
    return run


def delete_old_comparisons() -> int:
    """Forgets runs without findings after three months; findings are kept."""
    limit = timezone.now() - _KEPT
    with around("reconcile.forget"):
        deleted, _ = Reconciliation.objects.filter(created_at__lt=limit, differences__isnull=True).delete()
    return deleted


def _begin(provider_name: str, since: datetime, *, unless_recent: bool) -> Reconciliation | None:
    with around("reconcile.begin"), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 1))", [provider_name])
        recent = Reconciliation.objects.filter(
            provider=provider_name, created_at__gt=timezone.now() - _RECENT, since__lte=since + _RECENT
        )
        if unless_recent and recent.exists():
            return None
        return Reconciliation.objects.create(provider=provider_name, since=since)


class _Comparison:
    def __init__(self, provider: Provider, run: Reconciliation) -> None:
        self._provider = provider
        self._run = run
        self._found: list[Difference] = []
        self._seen: set[str] = set()
        # What the provider holds of each payment that it lists as paid, by its reference.
        self._held: dict[str, int] = {}

    def compare(self) -> list[Difference]:
        for intent in self._all(self._provider.list_intents):
            self._seen.add(intent.reference)
            self._compare_intent(intent)
        for refund in self._all(self._provider.list_refunds):
            self._seen.add(refund.reference)
            self._compare_refund(refund)
        for dispute in self._all(self._provider.list_disputes):
            self._seen.add(dispute.reference)
            self._compare_dispute(dispute)
        self._look_for_missing()
        self._compare_balances()
        return self._found

    def _all(self, page_of: Callable[..., Page[_T]]) -> Iterator[_T]:
        cursor = ""
        while True:
            with around("reconcile.page"):
                page = page_of(since=self._run.since, cursor=cursor)
            self._run.compared += len(page.items)
            yield from page.items
            cursor = page.cursor
            if not cursor:
                return

    def _report(
        self,
        kind: Difference.Kind,
        reference: str,
        *,
        payment: Payment | None = None,
        ours: str = "",
        theirs: str = "",
        healed: bool = False,
    ) -> None:
        self._found.append(
            Difference(
                reconciliation=self._run,
                kind=kind,
                payment=payment,
                provider_reference=reference,
                ours=ours[:200],
                theirs=theirs[:200],
                healed=healed,
            )
        )

    def _payment(self, reference: str) -> Payment | None:
        return Payment.objects.filter(provider=self._run.provider, provider_reference=reference).first()

    # Payments

    def _compare_intent(self, intent: Intent) -> None:
        theirs = f"{intent.status}, {intent.amount.format()}"
        payment = self._payment(intent.reference)
        if payment is None:
            if not self._is_unused(intent):
                self._report(_Kind.UNKNOWN_PAYMENT, intent.reference, theirs=theirs)
            return
        if intent.amount != payment.amount:
            ours = f"{payment.status}, {payment.amount.format()}"
            self._report(_Kind.AMOUNT, intent.reference, payment=payment, ours=ours, theirs=theirs)
            return
        if intent.status != payment.status:
            self._heal_status(payment)
            payment.refresh_from_db()
        if intent.status == payment.status == "succeeded":
            self._held[intent.reference] = intent.amount.amount

    def _is_unused(self, intent: Intent) -> bool:
        """Ours, but its process died before it stored the reference, so it was never confirmed; the next one finds it."""
        return (
            intent.payment_id is not None
            and intent.status in ("requires_payment_method", "canceled")
            and Payment.objects.filter(pk=intent.payment_id, payment_amount=intent.amount.amount).exists()
        )

    def _heal_status(self, payment: Payment) -> None:
        attempt = outcomes.open_attempt(payment)
        if attempt is not None and attempt.state == AttemptState.RUNNING:
            return  # its process is about to say, or reconciliation of attempts will
        with around("reconcile.ask"):
            now = self._provider.get_intent(payment.provider_reference)
        if now.status == payment.status:
            return  # the list was older than what we know
        after = outcomes.record_outcome(
            payment_id=payment.id, intent=now, attempt_id=attempt.id if attempt else None
        )
        self._report(
            _Kind.STATUS,
            payment.provider_reference,
            payment=payment,
            ours=payment.status,
            theirs=now.status,
            healed=after.status == now.status,
        )

    # Refunds and disputes

    def _compare_refund(self, told: ProviderRefund) -> None:
        payment = self._payment(told.payment_reference)
        theirs = f"{told.status}, {told.amount.format()}"
        if told.status == "succeeded" and told.payment_reference in self._held:
            self._held[told.payment_reference] -= told.amount.amount
        refund = Refund.objects.filter(
            Q(pk=told.refund_id) if told.refund_id else Q(provider_reference=told.reference), payment=payment
        ).first()
        if refund is None or payment is None:
            self._report(_Kind.UNKNOWN_REFUND, told.reference, payment=payment, theirs=theirs)
            return
        ours = f"{refund.status}, {refund.amount.format()}"
        if told.amount != refund.amount:
            self._report(_Kind.AMOUNT, told.reference, payment=payment, ours=ours, theirs=theirs)
            return
        if told.status == refund.status:
            return
        with around("reconcile.ask"):
            now = self._provider.get_refund(told.reference)
        if now.status == refund.status:
            return
        refunds.record_refund(refund_id=refund.id, payment_id=payment.id, result=now)
        refund.refresh_from_db()
        healed = refund.status == now.status
        self._report(
            _Kind.REFUND_STATUS, told.reference, payment=payment, ours=ours, theirs=theirs, healed=healed
        )

    def _compare_dispute(self, told: ProviderDispute) -> None:
        payment = self._payment(told.payment_reference)
        theirs = f"{told.status}, {told.amount.format()}"
        if told.status != "won" and told.payment_reference in self._held:
            self._held[told.payment_reference] -= told.amount.amount
        if payment is None:
            self._report(_Kind.UNKNOWN_DISPUTE, told.reference, theirs=theirs)
            return
        known = Dispute.objects.filter(payment=payment, provider_reference=told.reference).first()
        if known is not None and known.status == told.status and known.amount == told.amount:
            return
        ours = f"{known.status}, {known.amount.format()}" if known else ""
        try:
            after = disputes.record_dispute(payment_id=payment.id, told=told)
        except (ProviderMismatch, ToldTooEarly):
            healed = False
        else:
            healed = after.status == told.status
        self._report(_Kind.DISPUTE, told.reference, payment=payment, ours=ours, theirs=theirs, healed=healed)

    # What the provider does not list

    def _look_for_missing(self) -> None:
        began, since = self._run.created_at, self._run.since
        payments = Payment.objects.filter(
            provider=self._run.provider, created_at__gte=since, updated_at__lt=began
        ).exclude(provider_reference="")
        for payment in payments.iterator(chunk_size=_CHUNK):
            if payment.provider_reference not in self._seen and not self._has(
                self._provider.get_intent, payment.provider_reference
            ):
                ours = f"{payment.status}, {payment.amount.format()}"
                self._report(_Kind.MISSING_PAYMENT, payment.provider_reference, payment=payment, ours=ours)
        sent = Refund.objects.filter(
            payment__provider=self._run.provider, created_at__gte=since, updated_at__lt=began
        ).exclude(provider_reference="")
        for refund in sent.select_related("payment").iterator(chunk_size=_CHUNK):
            if refund.provider_reference not in self._seen and not self._has(
                self._provider.get_refund, refund.provider_reference
            ):
                ours = f"{refund.status}, {refund.amount.format()}"
                self._report(
                    _Kind.MISSING_REFUND, refund.provider_reference, payment=refund.payment, ours=ours
                )

    def _has(self, ask: Callable[[str], object], reference: str) -> bool:
        try:
            with around("reconcile.ask"):
                ask(reference)
        except providers.ProviderRefused:
            return False
        return True

    def _compare_balances(self) -> None:
        """For each payment, what the ledger says that the provider holds against what the provider says."""
        unhealed = {difference.payment_id for difference in self._found if not difference.healed}
        references = sorted(self._held)
        for start in range(0, len(references), _CHUNK):
            payments = Payment.objects.filter(
                provider=self._run.provider,
                provider_reference__in=references[start : start + _CHUNK],
                updated_at__lt=self._run.created_at,
            ).annotate(
                balance=Sum(
                    "ledger_transactions__entries__entry_amount",
                    filter=Q(
                        ledger_transactions__entries__account=ledger.provider_account(self._run.provider)
                    ),
                    default=0,
                )
            )
            for payment in payments:
                held = self._held[payment.provider_reference]
                if payment.balance != held and payment.id not in unhealed:
                    self._report(
                        _Kind.BALANCE,
                        payment.provider_reference,
                        payment=payment,
                        ours=str(payment.balance),
                        theirs=str(held),
                    )
