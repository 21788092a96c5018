"""The saga that makes an order."""

from __future__ import annotations

from django.db import models
from django.db.models import Q

from orders.models.orders import Order
from orders.models.states import CHECKOUT_TRANSITIONS, RUNNING_STEPS, UNFINISHED_STEPS, CheckoutStep
from shared_lib.models import BaseModel, OriginModel


class CheckoutSaga(BaseModel, OriginModel):
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
        self.step = CheckoutStep(CHECKOUT_TRANSITIONS["undo"].target)
        self.key = None
        self.error = "abandoned"
        self.attempts += 1
