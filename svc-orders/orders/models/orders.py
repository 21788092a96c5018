"""Orders, their lines and their history.

Every write to an order, its payments or its refunds locks the order's row first; several orders are locked in the order of
their ids. `Order.version` grows by one with each change that can be seen.
"""

from __future__ import annotations

from uuid import UUID

from django.db import models
from django.db.models import F, Q

from orders.models.states import (
    ORDER_TRANSITIONS,
    CancelReason,
    FulfillmentStatus,
    OrderStatus,
    PaymentStatus,
)
from shared_lib.models import BaseModel, OriginModel, VersionedModel


class OrderQuerySet(models.QuerySet["Order"]):
    def placed(self) -> OrderQuerySet:
        """Without hidden drafts: nobody but the checkout ever sees those."""
        return self.exclude(status=OrderStatus.DRAFT)

    def of(self, user_id: UUID) -> OrderQuerySet:
        return self.filter(user_id=user_id)


class Order(VersionedModel, OriginModel):
    """An order, or the hidden draft of one (version 0, no number, no lines, totals of zero).

    `created_at` of an order is the moment at which it was placed. Amounts are minor units of `currency`. `language` is the one
    that the buyer spoke then. `payment` is the current one: all earlier ones are canceled. While the order waits for its money,
    the sweeper asks svc-payments to cancel at `close_at`; `close_reason` is set from the moment somebody wants the order gone
    until svc-payments has answered, and no new payment can be started meanwhile.
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
    language = models.CharField(max_length=16, blank=True, default="", db_default="")

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
