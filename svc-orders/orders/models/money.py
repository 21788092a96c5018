"""Payments as this service knows them, and money that goes back."""

from __future__ import annotations

from django.db import models
from django.db.models import F, Q

from orders.models.orders import Order, OrderLine
from orders.models.states import PaymentState, RefundStatus
from shared_lib.jobs.rows import DueModel
from shared_lib.models import BaseModel


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
