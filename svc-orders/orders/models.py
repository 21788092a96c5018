"""Orders and what belongs to them, the state machines as data, and the saga that makes an order.

Every write to an order, its payments or its refunds locks the order's row first; several orders are locked in the order of
their ids. `Order.version` grows by one with each change that can be seen.
"""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from django.db import models
from django.db.models import F, Q

from orders.exceptions import (
    OrderNotCancellable,
    OrderNotDeliverable,
    OrderNotPayable,
    OrderNotShippable,
    ReturnNotApprovable,
    ReturnNotReceivable,
)
from shared_lib.exceptions import DomainError
from shared_lib.jobs.rows import DueModel
from shared_lib.models import BaseModel, VersionedModel


class OrderStatus(models.TextChoices):
    DRAFT = "draft"
    AWAITING_PAYMENT = "awaiting_payment"
    CONFIRMED = "confirmed"
    SHIPPED = "shipped"
    DELIVERED = "delivered"
    CANCELLED = "cancelled"


class PaymentStatus(models.TextChoices):
    """Of an order."""

    UNPAID = "unpaid"
    PROCESSING = "processing"
    PAID = "paid"
    PARTIALLY_REFUNDED = "partially_refunded"
    REFUNDED = "refunded"


class FulfillmentStatus(models.TextChoices):
    UNFULFILLED = "unfulfilled"
    PARTIAL = "partial"
    FULFILLED = "fulfilled"
    RETURNED = "returned"


class PaymentState(models.TextChoices):
    """Of one payment. `creating`: its id is ours, svc-payments has not answered yet; never shown to anybody."""

    CREATING = "creating"
    REQUIRES_PAYMENT_METHOD = "requires_payment_method"
    REQUIRES_ACTION = "requires_action"
    PROCESSING = "processing"
    SUCCEEDED = "succeeded"
    CANCELED = "canceled"


PAYABLE_STATES = frozenset({PaymentState.REQUIRES_PAYMENT_METHOD, PaymentState.REQUIRES_ACTION})


class CancelReason(models.TextChoices):
    BUYER = "buyer"
    STAFF = "staff"
    EXPIRED = "expired"
    REPLACED = "replaced"
    OUT_OF_STOCK = "out_of_stock"


class ReturnStatus(models.TextChoices):
    REQUESTED = "requested"
    APPROVED = "approved"
    RECEIVED = "received"


class HistoryRemark(models.TextChoices):
    """Reasons of rows of history that tell of something else than a new status. The audit knows them too."""

    PARTLY_SHIPPED = "partly_shipped"
    REFUND_REQUESTED = "refund_requested"
    REFUND_FAILED = "refund_failed"
    RETURN_REQUESTED = "return_requested"
    RETURN_APPROVED = "return_approved"
    RETURN_RECEIVED = "return_received"


@dataclass(frozen=True, slots=True)
class Transition:
    """From any of `sources` to `target`; from anywhere else `refusal` is raised."""

    sources: frozenset[str]
    target: str
    refusal: type[DomainError]


ORDER_TRANSITIONS: dict[str, Transition] = {
    "place": Transition(frozenset({OrderStatus.DRAFT}), OrderStatus.AWAITING_PAYMENT, OrderNotPayable),
    "confirm": Transition(frozenset({OrderStatus.AWAITING_PAYMENT}), OrderStatus.CONFIRMED, OrderNotPayable),
    "cancel": Transition(
        frozenset({OrderStatus.AWAITING_PAYMENT, OrderStatus.CONFIRMED}),
        OrderStatus.CANCELLED,
        OrderNotCancellable,
    ),
    "ship": Transition(frozenset({OrderStatus.CONFIRMED}), OrderStatus.SHIPPED, OrderNotShippable),
    "deliver": Transition(frozenset({OrderStatus.SHIPPED}), OrderStatus.DELIVERED, OrderNotDeliverable),
}


RETURN_TRANSITIONS: dict[str, Transition] = {
    "approve": Transition(frozenset({ReturnStatus.REQUESTED}), ReturnStatus.APPROVED, ReturnNotApprovable),
    "receive": Transition(frozenset({ReturnStatus.APPROVED}), ReturnStatus.RECEIVED, ReturnNotReceivable),
}


class ShippingMethod(BaseModel):
    """A way to ship to one country. `code` is what the buyer chooses; it may stand for other prices in other countries.

    `price_amount` is for parcels of up to `included_grams` (null: of any weight); each kilogram begun beyond costs
    `kilogram_amount` more. Goods for `free_from_amount` or more, before any discount, ship free. Nothing over `max_grams` ships.
    """

    country = models.CharField(max_length=2)
    code = models.SlugField(max_length=40, db_index=False)
    name = models.CharField(max_length=120)
    price_amount = models.BigIntegerField()
    included_grams = models.PositiveIntegerField(null=True)
    kilogram_amount = models.PositiveBigIntegerField(default=0, db_default=0)
    free_from_amount = models.PositiveBigIntegerField(null=True)
    max_grams = models.PositiveIntegerField(null=True)
    currency = models.CharField(max_length=3)
    min_days = models.PositiveSmallIntegerField()
    max_days = models.PositiveSmallIntegerField()
    is_active = models.BooleanField(default=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["country", "code"], name="shippingmethod_one_code_a_country"),
            models.CheckConstraint(
                condition=Q(price_amount__gte=0), name="shippingmethod_price_not_negative"
            ),
            models.CheckConstraint(
                condition=Q(min_days__lte=F("max_days")), name="shippingmethod_days_in_order"
            ),
        ]

    def takes(self, grams: int) -> bool:
        """Whether a parcel of this weight may go this way."""
        return self.max_grams is None or grams <= self.max_grams

    def price_of(self, *, goods: int, grams: int) -> int:
        """What it costs to ship goods worth `goods` (minor units) that weigh `grams`."""
        if self.free_from_amount is not None and goods >= self.free_from_amount:
            return 0
        beyond = 0 if self.included_grams is None else max(0, grams - self.included_grams)
        return self.price_amount + -(-beyond // 1000) * self.kilogram_amount


class OrderQuerySet(models.QuerySet["Order"]):
    def placed(self) -> OrderQuerySet:
        """Without hidden drafts: nobody but the checkout ever sees those."""
        return self.exclude(status=OrderStatus.DRAFT)

    def of(self, user_id: UUID) -> OrderQuerySet:
        return self.filter(user_id=user_id)


class Order(VersionedModel):
    """An order, or the hidden draft of one (version 0, no number, no lines, totals of zero).

    `created_at` of an order is the moment at which it was placed. Amounts are minor units of `currency`. `payment` is the
    current one: all earlier ones are canceled. While the order waits for its money, the sweeper asks svc-payments to cancel
    at `close_at`; `close_reason` is set from the moment somebody wants the order gone until svc-payments has answered, and
    no new payment can be started meanwhile.
    """

    user_id = models.UUIDField(editable=False)
    number = models.CharField(max_length=20, null=True)  # noqa: DJ001 - null is not unique, "" would be
    status = models.CharField(max_length=20, choices=OrderStatus, default=OrderStatus.DRAFT)
    payment_status = models.CharField(max_length=20, choices=PaymentStatus, default=PaymentStatus.UNPAID)
    fulfillment_status = models.CharField(
        max_length=20, choices=FulfillmentStatus, default=FulfillmentStatus.UNFULFILLED
    )

    currency = models.CharField(max_length=3)
    subtotal_amount = models.BigIntegerField(default=0)
    discount_amount = models.BigIntegerField(default=0)
    shipping_amount = models.BigIntegerField(default=0)
    shipping_tax_amount = models.BigIntegerField(default=0)
    tax_amount = models.BigIntegerField(default=0)
    tax_included_amount = models.BigIntegerField(default=0)
    total_amount = models.BigIntegerField(default=0)

    shipping_method = models.CharField(max_length=40, blank=True)
    shipping_method_name = models.CharField(max_length=120, blank=True)
    shipping_address = models.JSONField(default=dict)
    cart_id = models.UUIDField(null=True)
    cart_version = models.BigIntegerField(null=True)
    coupon_codes = models.JSONField(default=list)

    payment = models.ForeignKey(
        "OrderPayment", models.DO_NOTHING, null=True, related_name="+", db_index=False, db_constraint=False
    )
    expires_at = models.DateTimeField(null=True)
    close_at = models.DateTimeField(null=True)
    close_reason = models.CharField(max_length=20, choices=CancelReason, blank=True)
    close_wanted_by = models.UUIDField(null=True)

    objects = OrderQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["number"], name="order_number_unique"),
            models.CheckConstraint(
                condition=Q(
                    total_amount=F("subtotal_amount")
                    - F("discount_amount")
                    + F("shipping_amount")
                    + F("tax_amount")
                ),
                name="order_total_adds_up",
            ),
            models.CheckConstraint(
                condition=Q(
                    subtotal_amount__gte=0,
                    discount_amount__gte=0,
                    shipping_amount__gte=0,
                    shipping_tax_amount__gte=0,
                    tax_amount__gte=0,
                    tax_included_amount__gte=0,
                    total_amount__gte=0,
                ),
                name="order_amounts_not_negative",
            ),
            models.CheckConstraint(
                condition=Q(status=OrderStatus.DRAFT, number__isnull=True)
                | (~Q(status=OrderStatus.DRAFT) & Q(number__isnull=False)),
                name="order_numbered_unless_draft",
            ),
            models.CheckConstraint(condition=Q(status__in=OrderStatus.values), name="order_status_known"),
            models.CheckConstraint(
                condition=Q(payment_status__in=PaymentStatus.values), name="order_payment_status_known"
            ),
            models.CheckConstraint(
                condition=~Q(status=OrderStatus.AWAITING_PAYMENT)
                | Q(
                    payment_status__in=[PaymentStatus.UNPAID, PaymentStatus.PROCESSING],
                    close_at__isnull=False,
                ),
                name="order_unpaid_has_a_clock",
            ),
            models.CheckConstraint(
                condition=~Q(status__in=[OrderStatus.CONFIRMED, OrderStatus.SHIPPED, OrderStatus.DELIVERED])
                | ~Q(payment_status__in=[PaymentStatus.UNPAID, PaymentStatus.PROCESSING]),
                name="order_confirmed_is_paid",
            ),
        ]
        indexes = [
            models.Index(
                F("user_id"),
                F("created_at").desc(),
                F("id").desc(),
                condition=~Q(status=OrderStatus.DRAFT),
                name="order_newest_first_a_user",
            ),
            models.Index(
                F("created_at").desc(),
                F("id").desc(),
                condition=~Q(status=OrderStatus.DRAFT),
                name="order_newest_first",
            ),
            models.Index(fields=["cart_id", "cart_version"], name="order_by_cart"),
            models.Index(
                fields=["close_at"],
                condition=Q(status=OrderStatus.AWAITING_PAYMENT, payment_status=PaymentStatus.UNPAID),
                name="order_unpaid_by_clock",
            ),
        ]

    def go(self, name: str) -> None:
        """Makes the named transition of `ORDER_TRANSITIONS` in memory, or raises its refusal. Bumps the version."""
        transition = ORDER_TRANSITIONS[name]
        if self.status not in transition.sources:
            raise transition.refusal(f"The order is {self.status}.")
        self.status = transition.target
        self.bump()


class OrderLine(BaseModel):
    """Prices, names and weights are those of the moment of the order, as svc-catalog gave them with the reservation.

    `line_total_amount` is before any discount; `discount_amount` is what the coupons took of it. `tax_amount` is the line's
    share of the order's tax, be it included in the price or added. `shipped_quantity` is what has left in parcels.
    """

    order = models.ForeignKey(Order, models.CASCADE, related_name="lines", db_index=False)
    position = models.PositiveSmallIntegerField()
    variant_id = models.UUIDField()
    product_id = models.UUIDField()
    seller_id = models.UUIDField()
    sku = models.CharField(max_length=255)
    name = models.CharField(max_length=500)
    quantity = models.PositiveIntegerField()
    unit_price_amount = models.BigIntegerField()
    line_total_amount = models.BigIntegerField()
    discount_amount = models.BigIntegerField(default=0, db_default=0)
    tax_amount = models.BigIntegerField(default=0)
    weight_grams = models.PositiveIntegerField(default=0)
    shipped_quantity = models.PositiveIntegerField(default=0, db_default=0)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["order", "position"], name="orderline_one_a_position"),
            models.CheckConstraint(condition=Q(quantity__gte=1), name="orderline_quantity_positive"),
            models.CheckConstraint(
                condition=Q(unit_price_amount__gte=0, tax_amount__gte=0),
                name="orderline_amounts_not_negative",
            ),
            models.CheckConstraint(
                condition=Q(line_total_amount=F("unit_price_amount") * F("quantity")),
                name="orderline_total_adds_up",
            ),
            models.CheckConstraint(
                condition=Q(discount_amount__gte=0, discount_amount__lte=F("line_total_amount")),
                name="orderline_discount_within_total",
            ),
            models.CheckConstraint(
                condition=Q(shipped_quantity__lte=F("quantity")), name="orderline_shipped_within_quantity"
            ),
        ]
        indexes = [models.Index(fields=["seller_id", "order"], name="orderline_by_seller")]


class OrderPayment(BaseModel):
    """What this service knows of a payment at svc-payments; the id is made here, before the payment is.

    `version` is svc-payments' own: what comes with one that is not greater is old and changes nothing. 0 while `creating`.
    """

    order = models.ForeignKey(Order, models.CASCADE, related_name="payments")
    provider = models.CharField(max_length=40, blank=True)
    currency = models.CharField(max_length=3)
    amount = models.BigIntegerField()
    refunded_amount = models.BigIntegerField(default=0)
    status = models.CharField(max_length=30, choices=PaymentState, default=PaymentState.CREATING)
    version = models.PositiveBigIntegerField(default=0)
    action = models.JSONField(null=True)
    failure_code = models.CharField(max_length=100, blank=True)
    dispute_reason = models.CharField(max_length=200, blank=True)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(status__in=PaymentState.values), name="orderpayment_status_known"
            ),
            models.CheckConstraint(
                condition=Q(refunded_amount__gte=0, refunded_amount__lte=F("amount")),
                name="orderpayment_refunded_within_amount",
            ),
            models.UniqueConstraint(
                fields=["order"],
                condition=~Q(status__in=[PaymentState.CANCELED, PaymentState.SUCCEEDED]),
                name="orderpayment_one_open_an_order",
            ),
        ]


class OrderHistory(BaseModel):
    """One row for each status the order came to, and for each `HistoryRemark`, in the order of ids.

    `who` is a user's id, empty for the shop itself.
    """

    order = models.ForeignKey(Order, models.CASCADE, related_name="history")
    status = models.CharField(max_length=20, choices=OrderStatus)
    at = models.DateTimeField()
    reason = models.CharField(max_length=200, blank=True)
    who = models.UUIDField(null=True)

    class Meta:
        verbose_name_plural = "order history"


class Shipment(BaseModel):
    """A parcel of an order."""

    order = models.ForeignKey(Order, models.CASCADE, related_name="shipments")
    carrier = models.CharField(max_length=80)
    tracking_number = models.CharField(max_length=120)
    shipped_by = models.UUIDField()
    delivered_at = models.DateTimeField(null=True)


class ShipmentLine(BaseModel):
    """What of a line is in a parcel."""

    shipment = models.ForeignKey(Shipment, models.CASCADE, related_name="lines")
    line = models.ForeignKey(OrderLine, models.CASCADE, related_name="+")
    quantity = models.PositiveIntegerField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["shipment", "line"], name="shipmentline_one_a_line"),
            models.CheckConstraint(condition=Q(quantity__gte=1), name="shipmentline_quantity_positive"),
        ]


class RefundStatus(models.TextChoices):
    """`accepted`: svc-payments has it, and has not told yet that the money moved."""

    PENDING = "pending"
    ACCEPTED = "accepted"
    SUCCEEDED = "succeeded"
    FAILED = "failed"


class Refund(BaseModel, DueModel):
    """Money that has to go back: a job. The id is the `refund_id` of every call, so that a repeated call moves nothing.

    The sweeper sends it while it is due. `failed` is final and for people to look at; `error` says why. `requested_by` is
    empty when the shop itself decided it; `note` is what whoever asked for it wrote.
    """

    order = models.ForeignKey(Order, models.CASCADE, related_name="refunds")
    payment_id = models.UUIDField()
    currency = models.CharField(max_length=3)
    amount = models.BigIntegerField()
    reason = models.CharField(max_length=40)
    note = models.CharField(max_length=500, blank=True, db_default="")
    requested_by = models.UUIDField(null=True)
    status = models.CharField(max_length=20, choices=RefundStatus, default=RefundStatus.PENDING)
    error = models.TextField(blank=True)

    class Meta:
        constraints = [
            models.CheckConstraint(condition=Q(amount__gt=0), name="refund_amount_positive"),
            models.CheckConstraint(condition=Q(status__in=RefundStatus.values), name="refund_status_known"),
        ]
        indexes = [
            models.Index(fields=["due_at"], condition=Q(due_at__isnull=False), name="refund_by_due"),
            models.Index(fields=["payment_id"], name="refund_by_payment"),
        ]


class RefundLine(BaseModel):
    """What of a line is paid back by a refund that goes by lines."""

    refund = models.ForeignKey(Refund, models.CASCADE, related_name="lines")
    line = models.ForeignKey(OrderLine, models.CASCADE, related_name="refund_lines")
    quantity = models.PositiveIntegerField()
    amount = models.BigIntegerField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["refund", "line"], name="refundline_one_a_line"),
            models.CheckConstraint(
                condition=Q(quantity__gte=1, amount__gte=0), name="refundline_amounts_not_negative"
            ),
        ]


class Return(BaseModel):
    """Goods that the buyer sends back. `refund` is made when they have been received."""

    order = models.ForeignKey(Order, models.CASCADE, related_name="returns")
    status = models.CharField(max_length=20, choices=ReturnStatus, default=ReturnStatus.REQUESTED)
    reason = models.CharField(max_length=500)
    refund = models.ForeignKey(Refund, models.SET_NULL, null=True, related_name="+", db_index=False)
    approved_at = models.DateTimeField(null=True)
    received_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.CheckConstraint(condition=Q(status__in=ReturnStatus.values), name="return_status_known"),
            models.CheckConstraint(
                condition=~Q(status=ReturnStatus.RECEIVED) | Q(received_at__isnull=False),
                name="return_received_has_a_time",
            ),
        ]

    def go(self, name: str) -> None:
        """Makes the named transition of `RETURN_TRANSITIONS` in memory, or raises its refusal."""
        transition = RETURN_TRANSITIONS[name]
        if self.status not in transition.sources:
            raise transition.refusal(f"The return is {self.status}.")
        self.status = transition.target


class ReturnLine(BaseModel):
    part_of = models.ForeignKey(Return, models.CASCADE, related_name="lines")
    line = models.ForeignKey(OrderLine, models.CASCADE, related_name="return_lines")
    quantity = models.PositiveIntegerField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["part_of", "line"], name="returnline_one_a_line"),
            models.CheckConstraint(condition=Q(quantity__gte=1), name="returnline_quantity_positive"),
        ]


class CheckoutStep(models.TextChoices):
    """Forward: `started` (nothing taken) → `reserving` (cart and address are fixed) → `done`.

    Backward, from the first two only and never to be left again: `undoing` → `undone`.
    """

    STARTED = "started"
    RESERVING = "reserving"
    DONE = "done"
    UNDOING = "undoing"
    UNDONE = "undone"


RUNNING_STEPS = (CheckoutStep.STARTED, CheckoutStep.RESERVING)
UNFINISHED_STEPS = (*RUNNING_STEPS, CheckoutStep.UNDOING)


class CheckoutSaga(BaseModel):
    """One attempt to make an order, from its first transaction to its last.

    The row belongs to the request that made it or last took it over, until `leased_until`. Each taking over counts
    `attempts` up, and every step is written on condition that `attempts` is still the writer's own: who lost the row
    changes nothing any more. `order` and `payment_id` are made before any call, so that each call can be repeated, and
    undone although its answer never came.

    At `deadline` the sweeper acts: it undoes what is running, tries again what is undoing and forgets what has ended.
    """

    order = models.OneToOneField(Order, models.CASCADE, related_name="checkout")
    user_id = models.UUIDField(editable=False)
    key = models.CharField(max_length=255, null=True)  # noqa: DJ001 - any character may be in a key
    body_hash = models.BinaryField(max_length=32)
    step = models.CharField(max_length=20, choices=CheckoutStep, default=CheckoutStep.STARTED)
    payment_id = models.UUIDField(unique=True)
    attempts = models.PositiveIntegerField(default=1)
    leased_until = models.DateTimeField()
    deadline = models.DateTimeField()
    cart = models.JSONField(null=True)
    address = models.JSONField(null=True)
    undo_reservation = models.BooleanField(default=False)
    undo_coupons = models.BooleanField(default=False, db_default=False)
    undo_payment = models.BooleanField(default=False)
    error = models.TextField(blank=True)
    answer = models.BinaryField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["user_id", "key"], condition=Q(key__isnull=False), name="checkout_one_a_key"
            ),
            models.UniqueConstraint(
                fields=["user_id"],
                condition=Q(step__in=RUNNING_STEPS),
                name="checkout_one_running_a_user",
            ),
            models.CheckConstraint(condition=Q(step__in=CheckoutStep.values), name="checkout_step_known"),
            models.CheckConstraint(
                condition=~Q(step=CheckoutStep.DONE) | Q(answer__isnull=False),
                name="checkout_done_has_an_answer",
            ),
        ]
        indexes = [
            models.Index(
                fields=["deadline"], condition=Q(step__in=UNFINISHED_STEPS), name="checkout_unfinished"
            ),
            models.Index(fields=["deadline"], condition=~Q(step__in=UNFINISHED_STEPS), name="checkout_ended"),
        ]

    @property
    def has_coupons(self) -> bool:
        """Whether the cart that was fixed has any."""
        return bool((self.cart or {}).get("coupons"))

    def abandon(self) -> None:
        """Turns a running checkout, whose process is gone, into one that is to be undone, in memory. The key is free."""
        self.undo_reservation = self.undo_payment = self.step == CheckoutStep.RESERVING
        self.undo_coupons = self.undo_reservation and self.has_coupons
        self.step = CheckoutStep.UNDOING
        self.key = None
        self.error = "abandoned"
        self.attempts += 1
