"""Tables of svc-payments. The ledger's rules stand in the database too, see migration 0002.

Locks are taken in one order: the payment, then its attempts and refunds. No row is locked and no transaction is open
while a provider is called.
"""

from __future__ import annotations

from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now

from payments.exceptions import IllegalTransition
from shared_lib.jobs.rows import DueModel
from shared_lib.models import BaseModel, VersionedModel
from shared_lib.money import Money


class PaymentStatus(models.TextChoices):
    REQUIRES_PAYMENT_METHOD = "requires_payment_method"
    REQUIRES_ACTION = "requires_action"
    PROCESSING = "processing"
    SUCCEEDED = "succeeded"
    CANCELED = "canceled"


_OPEN = frozenset(
    {PaymentStatus.REQUIRES_PAYMENT_METHOD, PaymentStatus.REQUIRES_ACTION, PaymentStatus.PROCESSING}
)
_NEXT: dict[str, frozenset[str]] = {
    PaymentStatus.REQUIRES_PAYMENT_METHOD: frozenset(PaymentStatus),
    PaymentStatus.REQUIRES_ACTION: frozenset(PaymentStatus),
    PaymentStatus.PROCESSING: frozenset(PaymentStatus),
    PaymentStatus.SUCCEEDED: frozenset(),
    # A provider that took money although we believed it canceled is believed: the money is booked and orders is told.
    PaymentStatus.CANCELED: frozenset({PaymentStatus.SUCCEEDED}),
}


class Payment(VersionedModel):
    """What is to be paid for one order at one provider. The caller of the internal API makes its id.

    `provider_reference` is the provider's name for it; it is empty until the first confirmation and always stored before
    the provider is asked to charge: an empty one proves that no money can have moved. `refunding_amount` is asked for and
    not yet decided, `refunded_amount` has gone back. A payment of nothing has succeeded from the start: no provider is asked
    and nothing is booked.
    """

    order_id = models.UUIDField(editable=False)
    user_id = models.UUIDField(editable=False)
    payment_amount = models.BigIntegerField(editable=False)
    currency = models.CharField(max_length=3, editable=False)
    status = models.CharField(
        max_length=32, choices=PaymentStatus.choices, default=PaymentStatus.REQUIRES_PAYMENT_METHOD
    )
    provider = models.CharField(max_length=32)
    provider_reference = models.CharField(max_length=255, blank=True, default="")
    action_url = models.TextField(blank=True, default="")
    refunding_amount = models.BigIntegerField(default=0)
    refunded_amount = models.BigIntegerField(default=0)

    class Meta:
        constraints = (
            models.CheckConstraint(
                condition=Q(payment_amount__gt=0)
                | Q(
                    payment_amount=0,
                    status__in=[PaymentStatus.SUCCEEDED, PaymentStatus.CANCELED],
                    provider_reference="",
                ),
                name="payment_amount_positive_or_nothing_to_do",
            ),
            models.CheckConstraint(
                condition=Q(refunding_amount__gte=0)
                & Q(refunded_amount__gte=0)
                & Q(payment_amount__gte=F("refunding_amount") + F("refunded_amount")),
                name="payment_refunds_within_amount",
            ),
            models.CheckConstraint(
                condition=Q(status=PaymentStatus.SUCCEEDED) | Q(refunding_amount=0, refunded_amount=0),
                name="payment_refunds_only_of_paid",
            ),
            models.CheckConstraint(
                condition=Q(status=PaymentStatus.REQUIRES_ACTION) ^ Q(action_url=""),
                name="payment_action_only_when_required",
            ),
            models.UniqueConstraint(
                fields=["order_id"],
                condition=~Q(status=PaymentStatus.CANCELED),
                name="payment_one_live_per_order",
            ),
            models.UniqueConstraint(
                fields=["provider", "provider_reference"],
                condition=~Q(provider_reference=""),
                name="payment_provider_reference_unique",
            ),
        )

    def __str__(self) -> str:
        return f"{self.id} {self.status}"

    @property
    def amount(self) -> Money:
        return Money(self.payment_amount, self.currency)

    @property
    def refunded(self) -> Money:
        return Money(self.refunded_amount, self.currency)

    @property
    def refundable(self) -> Money:
        """What may still be asked back."""
        paid = self.payment_amount if self.status == PaymentStatus.SUCCEEDED else 0
        return Money(paid - self.refunding_amount - self.refunded_amount, self.currency)

    @property
    def is_open(self) -> bool:
        """It may still be paid or canceled."""
        return self.status in _OPEN

    @property
    def is_of_nothing(self) -> bool:
        """It takes no money, so even one that succeeded may be canceled."""
        return self.payment_amount == 0

    def move_to(self, status: str, *, action_url: str = "") -> None:
        """The next state, in memory; the caller holds the row's lock and saves. Raises `IllegalTransition`."""
        if status not in _NEXT[self.status] and not (self.is_of_nothing and status == PaymentStatus.CANCELED):
            raise IllegalTransition(f"payment {self.id} cannot go from {self.status} to {status}")
        self.status = status
        self.action_url = action_url
        self.bump()


class PaymentTombstone(models.Model):
    """An id whose cancellation came before the payment itself: a late creation makes it canceled at once."""

    payment_id = models.UUIDField(primary_key=True)
    created_at = models.DateTimeField(db_default=Now())

    def __str__(self) -> str:
        return str(self.payment_id)


class AttemptState(models.TextChoices):
    RUNNING = "running"
    REQUIRES_ACTION = "requires_action"
    PROCESSING = "processing"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELED = "canceled"


OPEN_ATTEMPTS = (AttemptState.RUNNING, AttemptState.REQUIRES_ACTION, AttemptState.PROCESSING)


class PaymentAttempt(BaseModel, DueModel):
    """One confirmation with one payment method. Its id is the idempotency key at the provider.

    `running`: a request is at the provider now, or was when its process died. A payment has one open attempt at most,
    which the database guarantees: two confirmations at once cannot both reach the provider. While it is open, `due_at` is
    when to ask the provider how it went.
    """

    payment = models.ForeignKey(Payment, on_delete=models.PROTECT, related_name="attempts")
    state = models.CharField(max_length=16, choices=AttemptState.choices, default=AttemptState.RUNNING)
    payment_method = models.CharField(max_length=100)
    failure_code = models.CharField(max_length=64, blank=True, default="")

    class Meta:
        constraints = (
            models.UniqueConstraint(
                fields=["payment"], condition=Q(state__in=OPEN_ATTEMPTS), name="attempt_one_open_per_payment"
            ),
            models.CheckConstraint(
                condition=Q(state__in=OPEN_ATTEMPTS) | Q(due_at__isnull=True),
                name="attempt_due_only_when_open",
            ),
        )
        indexes = (models.Index(fields=["due_at"], name="attempt_due", condition=Q(due_at__isnull=False)),)

    def __str__(self) -> str:
        return f"{self.id} {self.state}"

    @property
    def is_open(self) -> bool:
        return self.state in OPEN_ATTEMPTS


class RefundStatus(models.TextChoices):
    PENDING = "pending"
    SUCCEEDED = "succeeded"
    FAILED = "failed"


class Refund(BaseModel, DueModel):
    """Money on its way back. The caller makes its id, which is also the idempotency key at the provider."""

    payment = models.ForeignKey(Payment, on_delete=models.PROTECT, related_name="refunds")
    refund_amount = models.BigIntegerField(editable=False)
    currency = models.CharField(max_length=3, editable=False)
    reason = models.CharField(max_length=500)
    status = models.CharField(max_length=16, choices=RefundStatus.choices, default=RefundStatus.PENDING)
    provider_reference = models.CharField(max_length=255, blank=True, default="")
    failure_code = models.CharField(max_length=64, blank=True, default="")

    class Meta:
        constraints = (
            models.CheckConstraint(condition=Q(refund_amount__gt=0), name="refund_amount_positive"),
            models.CheckConstraint(
                condition=Q(status=RefundStatus.PENDING) | Q(due_at__isnull=True),
                name="refund_due_only_when_pending",
            ),
        )
        indexes = (models.Index(fields=["due_at"], name="refund_due", condition=Q(due_at__isnull=False)),)

    def __str__(self) -> str:
        return f"{self.id} {self.status}"

    @property
    def amount(self) -> Money:
        return Money(self.refund_amount, self.currency)


class DisputeStatus(models.TextChoices):
    OPEN = "open"
    WON = "won"
    LOST = "lost"


class Dispute(BaseModel):
    """The buyer's bank took money of a payment back. While it is open, and once it is lost, the money is not ours."""

    payment = models.ForeignKey(Payment, on_delete=models.PROTECT, related_name="disputes")
    provider_reference = models.CharField(max_length=255, editable=False)
    dispute_amount = models.BigIntegerField(editable=False)
    currency = models.CharField(max_length=3, editable=False)
    reason = models.CharField(max_length=100)
    status = models.CharField(max_length=16, choices=DisputeStatus.choices, default=DisputeStatus.OPEN)

    class Meta:
        constraints = (
            models.CheckConstraint(condition=Q(dispute_amount__gt=0), name="dispute_amount_positive"),
            models.UniqueConstraint(fields=["payment", "provider_reference"], name="dispute_once"),
        )

    def __str__(self) -> str:
        return f"{self.id} {self.status}"

    @property
    def amount(self) -> Money:
        return Money(self.dispute_amount, self.currency)


class WebhookEvent(BaseModel, DueModel):
    """What a provider told us: the row first, its effect afterwards, each once."""

    provider = models.CharField(max_length=32)
    event_id = models.CharField(max_length=255)
    type = models.CharField(max_length=100)
    payload = models.JSONField()
    settled_at = models.DateTimeField(null=True)
    outcome = models.CharField(max_length=200, blank=True, default="")

    class Meta:
        constraints = (models.UniqueConstraint(fields=["provider", "event_id"], name="webhook_event_once"),)
        indexes = (
            models.Index(fields=["due_at"], name="webhook_event_due", condition=Q(due_at__isnull=False)),
            models.Index(
                fields=["settled_at"], name="webhook_event_settled", condition=Q(settled_at__isnull=False)
            ),
        )

    def __str__(self) -> str:
        return f"{self.type} {self.event_id}"


class LedgerAccount(models.Model):
    """A place where money is; see `ledger` for which there are."""

    code = models.CharField(max_length=64, primary_key=True)

    def __str__(self) -> str:
        return self.code


class LedgerTransaction(models.Model):
    """One movement of money. A payment is captured once, a refund booked once, a dispute opened and closed once: the
    database says so.

    `written_by` is the database transaction that wrote it; its entries belong to the same one.
    """

    class Kind(models.TextChoices):
        CAPTURE = "capture"
        REFUND = "refund"
        DISPUTE_OPENED = "dispute_opened"
        DISPUTE_WON = "dispute_won"
        DISPUTE_LOST = "dispute_lost"

    id = models.UUIDField(primary_key=True, editable=False)
    kind = models.CharField(max_length=16, choices=Kind.choices)
    payment = models.ForeignKey(Payment, on_delete=models.PROTECT, related_name="ledger_transactions")
    refund = models.ForeignKey(
        Refund, null=True, on_delete=models.PROTECT, related_name="ledger_transactions"
    )
    dispute = models.ForeignKey(
        Dispute, null=True, on_delete=models.PROTECT, related_name="ledger_transactions"
    )
    created_at = models.DateTimeField(db_default=Now())
    written_by = models.BigIntegerField(
        db_default=models.Func(function="txid_current", output_field=models.BigIntegerField())
    )

    class Meta:
        constraints = (
            models.CheckConstraint(
                condition=Q(kind="capture", refund__isnull=True, dispute__isnull=True)
                | Q(kind="refund", refund__isnull=False, dispute__isnull=True)
                | Q(kind__startswith="dispute_", refund__isnull=True, dispute__isnull=False),
                name="ledger_transaction_names_its_cause",
            ),
            models.UniqueConstraint(
                fields=["payment"], condition=Q(kind="capture"), name="ledger_one_capture_per_payment"
            ),
            models.UniqueConstraint(
                fields=["refund"], condition=Q(kind="refund"), name="ledger_refund_booked_once"
            ),
            models.UniqueConstraint(
                fields=["dispute"], condition=Q(kind="dispute_opened"), name="ledger_dispute_opened_once"
            ),
            models.UniqueConstraint(
                fields=["dispute"],
                condition=Q(kind__in=("dispute_won", "dispute_lost")),
                name="ledger_dispute_closed_once",
            ),
        )

    def __str__(self) -> str:
        return f"{self.kind} {self.id}"


class Reconciliation(BaseModel):
    """One comparison with a provider of everything made there at `since` or later."""

    provider = models.CharField(max_length=32, editable=False)
    since = models.DateTimeField(editable=False)
    finished_at = models.DateTimeField(null=True)
    compared = models.PositiveIntegerField(default=0)

    def __str__(self) -> str:
        return f"{self.provider} since {self.since:%Y-%m-%d %H:%M}"


class Difference(BaseModel):
    """What a provider knows otherwise than we do. `healed`: we took its word, and now both agree."""

    class Kind(models.TextChoices):
        STATUS = "status"
        AMOUNT = "amount"
        UNKNOWN_PAYMENT = "unknown_payment"
        MISSING_PAYMENT = "missing_payment"
        REFUND_STATUS = "refund_status"
        UNKNOWN_REFUND = "unknown_refund"
        MISSING_REFUND = "missing_refund"
        DISPUTE = "dispute"
        UNKNOWN_DISPUTE = "unknown_dispute"
        BALANCE = "balance"

    reconciliation = models.ForeignKey(Reconciliation, on_delete=models.CASCADE, related_name="differences")
    kind = models.CharField(max_length=32, choices=Kind.choices)
    payment = models.ForeignKey(Payment, null=True, on_delete=models.PROTECT, related_name="differences")
    provider_reference = models.CharField(max_length=255)
    ours = models.CharField(max_length=200, blank=True)
    theirs = models.CharField(max_length=200, blank=True)
    healed = models.BooleanField(default=False)

    def __str__(self) -> str:
        return f"{self.kind} {self.provider_reference}: {self.ours or 'nothing'} here, {self.theirs or 'nothing'} there"


class LedgerEntry(models.Model):
    """A debit (positive) or credit (negative) of one account. All entries of a transaction sum to zero per currency."""

    transaction = models.ForeignKey(LedgerTransaction, on_delete=models.PROTECT, related_name="entries")
    account = models.ForeignKey(LedgerAccount, on_delete=models.PROTECT, related_name="entries")
    entry_amount = models.BigIntegerField()
    currency = models.CharField(max_length=3)

    class Meta:
        constraints = (
            models.CheckConstraint(condition=~Q(entry_amount=0), name="ledger_entry_moves_something"),
        )

    def __str__(self) -> str:
        return f"{self.account_id} {self.entry_amount} {self.currency}"
