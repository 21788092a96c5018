"""Goods on their way, there and back."""

from __future__ import annotations

from django.db import models
from django.db.models import Q

from orders.models.money import Refund
from orders.models.orders import Order, OrderLine
from orders.models.states import RETURN_TRANSITIONS, ReturnStatus
from shared_lib.models import BaseModel


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


class Return(BaseModel):
    """Goods that the buyer sends back. `refund` is made when they have been received.

    What was rejected counts for nothing: the same goods may be asked for again. `rejection_reason` is for the buyer to read.
    """

    order = models.ForeignKey(Order, models.CASCADE, related_name="returns")
    status = models.CharField(max_length=20, choices=ReturnStatus, default=ReturnStatus.REQUESTED)
    reason = models.CharField(max_length=500)
    refund = models.ForeignKey(Refund, models.SET_NULL, null=True, related_name="+", db_index=False)
    approved_at = models.DateTimeField(null=True)
    received_at = models.DateTimeField(null=True)
    rejected_at = models.DateTimeField(null=True)
    rejection_reason = models.CharField(max_length=500, blank=True, default="", db_default="")

    class Meta:
        constraints = [
            models.CheckConstraint(condition=Q(status__in=ReturnStatus.values), name="return_status_known"),
            models.CheckConstraint(
                condition=~Q(status=ReturnStatus.RECEIVED) | Q(received_at__isnull=False),
                name="return_received_has_a_time",
            ),
            models.CheckConstraint(
                condition=~Q(status=ReturnStatus.REJECTED)
                | (Q(rejected_at__isnull=False) & ~Q(rejection_reason="")),
                name="return_rejected_has_a_reason",
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
