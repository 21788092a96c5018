"""A new order: the saga that takes what it needs from cart, catalog and payments, and either ends in an order or in nothing.

    1  transaction   key, body hash, hidden draft, saga row                       `started`
    2  calls         address book (with `address_id`), cart
    3  update        cart and address are fixed in the saga row                   `reserving`
    4  calls         earlier unpaid orders of the cart are replaced
    5  call          catalog reserves every line or none, at its own prices
    6  calls         cart gives a use of each coupon that takes something of the total
    7  call          payments makes the payment whose id is in the saga row
    8  transaction   number, totals, lines, `order.placed`, the answer            `done`

No transaction is open during a call. A failure before 8 undoes what may have been taken. A process that dies leaves its row
to the buyer's retry, which goes on after the lease, or to the sweeper, which undoes it after the deadline.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec
import structlog
from django.conf import settings
from django.db import DatabaseError, IntegrityError, transaction
from django.utils import timezone

from orders import clients, selectors
from orders.exceptions import (
    CartChanged,
    CheckoutInProgress,
    CouponNotApplicable,
    OutOfStock,
    PaymentInProgress,
)
from orders.models import (
    CHECKOUT_TRANSITIONS,
    RUNNING_STEPS,
    CheckoutSaga,
    CheckoutStep,
    Order,
    OrderStatus,
    PaymentStatus,
    ShippingMethod,
)
from orders.services.closing import replace_order
from orders.services.locks import lock_checkouts
from orders.services.offers import (
    CheckoutRequest,
    check_expected,
    resolve_address,
    shipping_method,
    totals_of,
    wanted_cart,
)
from orders.services.payments import refused
from orders.services.placing import Draft
from orders.services.undoing import KEPT_FOR, give_up
from orders.totals import Totals
from shared_lib.api.encoders import dumps
from shared_lib.api.idempotency import IdempotencyInProgress, IdempotencyKeyReused
from shared_lib.contracts.address import Address
from shared_lib.contracts.internal.cart import CartSnapshot, CouponUseRequest
from shared_lib.contracts.internal.catalog import Reservation
from shared_lib.contracts.internal.payments import Payment, PaymentRequest
from shared_lib.exceptions import DomainError, ServiceUnavailable
from shared_lib.failpoints import around, failpoint
from shared_lib.ids import uuid7
from shared_lib.money import Money
from shared_lib.observability import tracing

logger = structlog.get_logger(__name__)

_TRIES = 5


@dataclass(frozen=True, slots=True)
class Placed:
    """The 201: `answer` is its body, the same bytes each time it is given."""

    answer: bytes
    replayed: bool


class _Lost(Exception):
    """Another process has taken this checkout over; it goes on there."""


def place_order(*, user_id: UUID, key: str, body_hash: bytes, request: CheckoutRequest) -> Placed:
    """Makes an order of the user's cart; the same key and body again get the same order.

    Raises `IdempotencyKeyReused`, `IdempotencyInProgress`, `CheckoutInProgress`, `InvalidValue`, `EmptyCart`,
    `AddressNotServed`, `CartChanged`, `PriceChanged`, `OutOfStock`, `CouponNotApplicable`, `PaymentInProgress`,
    `OrderNotPayable`, `ServiceUnavailable`. After all but the first three of them the key is free, and what was taken has
    been or will be given back.
    """
    saga = _begin(user_id=user_id, key=key, body_hash=body_hash)
    tracing.note(order_id=saga.order_id)
    if saga.step == CheckoutStep.DONE:
        return Placed(bytes(saga.answer or b""), replayed=True)
    checkout = _Checkout(saga, request)
    try:
        return Placed(checkout.run(), replayed=False)
    except _Lost:
        raise IdempotencyInProgress from None
    except Exception as error:
        _fail(checkout, error)
        raise


def _begin(*, user_id: UUID, key: str, body_hash: bytes) -> CheckoutSaga:
    """This request's own saga: a new one, or one that it takes over, or one that is done.

    The unique constraints decide who is first; nothing is looked up before the insert.
    """
    for _ in range(_TRIES):
        saga = CheckoutSaga(
            order_id=uuid7(),
            user_id=user_id,
            key=key,
            body_hash=body_hash,
            payment_id=uuid7(),
            **_lease(timezone.now()),
        )
        draft = Order(id=saga.order_id, version=0, user_id=user_id, currency=settings.SHOP_CURRENCY)
        try:
            with around("checkout.begin"), transaction.atomic():
                saga.save(force_insert=True)
                failpoint("checkout.begin.inside")
                draft.save(force_insert=True)
        except IntegrityError:
            found = _take_over(user_id=user_id, key=key, body_hash=body_hash)
            if found is not None:
                return found
        else:
            return saga
    raise CheckoutInProgress


def _lease(now: datetime) -> dict[str, datetime]:
    leased_until = now + timedelta(seconds=settings.CHECKOUT_LEASE_SECONDS)
    return {
        "leased_until": leased_until,
        "deadline": leased_until + timedelta(seconds=settings.CHECKOUT_RESUME_SECONDS),
    }


@around("checkout.take_over")
@transaction.atomic
def _take_over(*, user_id: UUID, key: str, body_hash: bytes) -> CheckoutSaga | None:
    """The saga of this key, if it is done or its process died. None when the way is free for a new one.

    Raises `IdempotencyKeyReused`, `IdempotencyInProgress`, and `CheckoutInProgress` for a live saga of another key.
    """
    now = timezone.now()
    sagas = lock_checkouts(user_id)
    saga = sagas.filter(key=key).first()
    if saga is None:
        other = sagas.filter(step__in=RUNNING_STEPS).first()
        if other is not None:
            if other.leased_until > now:
                raise CheckoutInProgress
            # The buyer came back with another key: what the dead checkout took is the sweeper's.
            other.abandon()
            other.deadline = now
            other.save()
        return None
    if bytes(saga.body_hash) != body_hash:
        raise IdempotencyKeyReused
    if saga.step == CheckoutStep.DONE:
        return saga
    if saga.leased_until > now:
        raise IdempotencyInProgress
    saga.attempts += 1
    for name, value in _lease(now).items():
        setattr(saga, name, value)
    saga.save()
    return saga


def _fail(checkout: _Checkout, error: Exception) -> None:
    """Without its database the checkout stays as it is, for the retry or the sweeper."""
    try:
        give_up(
            checkout.saga,
            reservation=checkout.may_hold_stock,
            coupons=checkout.may_hold_coupons,
            payment=checkout.may_have_payment,
            error=repr(error),
        )
    except DatabaseError as failure:
        logger.warning("checkout_left_behind", order=str(checkout.saga.order_id), error=repr(failure))


class _Checkout:
    """One run of the saga by one request. `may_*` say what a failure has to undo."""

    def __init__(self, saga: CheckoutSaga, request: CheckoutRequest) -> None:
        self.saga = saga
        self.request = request
        self._resumed = saga.step == CheckoutStep.RESERVING
        self.may_hold_stock = self._resumed
        self.may_hold_coupons = self._resumed and saga.has_coupons
        self.may_have_payment = self._resumed

    def run(self) -> bytes:
        """The body of the 201."""
        cart, address, method = self.fixed() if self._resumed else self.fix()
        self.replace_earlier_orders(cart)
        reservation = self.reserve(cart)
        totals = totals_of(reservation.lines, method, address, cart.coupons)
        check_expected(self.request, totals)
        self.use_coupons(totals)
        payment = self.create_payment(totals)
        return self.place(cart, address, method, reservation, totals, payment)

    def fix(self) -> tuple[CartSnapshot, Address, ShippingMethod]:
        """From here on this checkout is about this cart, whatever becomes of the buyer's cart or address book."""
        address = resolve_address(self.saga.user_id, self.request)
        method = shipping_method(address.country, self.request.shipping_method)
        cart = wanted_cart(self.saga.user_id, self.request)
        with around("checkout.fix"), transaction.atomic():
            self._advance(
                "fix",
                cart=msgspec.to_builtins(cart),
                address=msgspec.to_builtins(address),
                **_lease(timezone.now()),
            )
        return cart, address, method

    def fixed(self) -> tuple[CartSnapshot, Address, ShippingMethod]:
        """What `fix` fixed before the process died."""
        address = msgspec.convert(self.saga.address, Address)
        method = shipping_method(address.country, self.request.shipping_method)
        return msgspec.convert(self.saga.cart, CartSnapshot), address, method

    def replace_earlier_orders(self, cart: CartSnapshot) -> None:
        """A cart has one unpaid order at most; what the earlier one held comes back before the new one takes.

        Raises `PaymentInProgress` or `CartChanged` when this very cart is being paid or has been bought already.
        """
        for order_id in selectors.earlier_orders_of_cart(cart.cart_id, cart.version):
            order = replace_order(order_id, who=self.saga.user_id)
            if order.status == OrderStatus.CANCELLED:
                if order.payment_status == PaymentStatus.UNPAID:
                    _release_early(order)
            elif order.cart_version == cart.version:
                if order.status == OrderStatus.AWAITING_PAYMENT:
                    raise PaymentInProgress(order_id=str(order.id))
                raise CartChanged("This cart has been ordered and paid.", cart_version=cart.version)

    def reserve(self, cart: CartSnapshot) -> Reservation:
        """The lines come back in the order of the cart. Raises `OutOfStock`."""
        wanted = [(line.variant_id, line.quantity) for line in cart.lines]
        self.may_hold_stock = True
        try:
            with around("checkout.reserve"):
                reservation = clients.reserve(order_id=self.saga.order_id, lines=wanted)
        except clients.ShortOfStock as shortage:
            self.may_hold_stock = self._resumed or not shortage.certain
            self._wait_for_undoing()
            raise OutOfStock([msgspec.to_builtins(line) for line in shortage.lines]) from None
        if sorted(wanted) != sorted((line.variant_id, line.quantity) for line in reservation.lines):
            raise ServiceUnavailable("The reservation is not for the lines of this cart.")
        places = {variant_id: place for place, (variant_id, _) in enumerate(wanted)}
        lines = sorted(reservation.lines, key=lambda line: places[line.variant_id])
        return msgspec.structs.replace(reservation, lines=lines)

    def use_coupons(self, totals: Totals) -> None:
        """Raises `CouponNotApplicable`: a coupon that the buyer was shown is never left out of an order in silence."""
        for code in totals.coupon_codes:
            use = CouponUseRequest(order_id=self.saga.order_id, user_id=self.saga.user_id, code=code)
            self.may_hold_coupons = True
            try:
                with around("checkout.use_coupon"):
                    clients.use_coupon(use)
            except clients.CouponRefused as refusal:
                self._wait_for_undoing()
                raise CouponNotApplicable(refusal.detail, coupon=code, reason=refusal.reason) from None

    def _wait_for_undoing(self) -> None:
        """What this checkout is refused may be what an earlier one of the same buyer has not given back yet: that is no answer
        that a client should take for the last one. Raises `ServiceUnavailable`, which says when to try again.
        """
        if selectors.has_unfinished_undoing(self.saga.user_id):
            raise ServiceUnavailable("What an earlier checkout of this cart took is still being given back.")

    def create_payment(self, totals: Totals) -> Payment:
        """Raises `InvalidValue` for a provider that svc-payments does not offer, `OrderNotPayable` for a sum it refuses."""
        total = Money(totals.total, totals.currency)
        request = PaymentRequest(
            payment_id=self.saga.payment_id,
            order_id=self.saga.order_id,
            user_id=self.saga.user_id,
            amount=total,
            provider=self.request.payment_provider,
        )
        self.may_have_payment = True
        try:
            with around("checkout.create_payment"):
                payment = clients.create_payment(request)
        except clients.PaymentRefused as refusal:
            raise refused(refusal) from None
        if payment.amount != total or payment.status == "canceled":
            raise ServiceUnavailable("The payment of this checkout does not fit it any more.")
        return payment

    def place(
        self,
        cart: CartSnapshot,
        address: Address,
        method: ShippingMethod,
        reservation: Reservation,
        totals: Totals,
        payment: Payment,
    ) -> bytes:
        """Transaction 2. Raises `_Lost` when the checkout is no longer this request's."""
        for tries_left in reversed(range(_TRIES)):
            draft = Draft(self.saga, cart, address, method, reservation, totals, payment)
            answer = dumps(draft.document())
            try:
                tracing.note(order_number=draft.order.number)
                with around("checkout.place"), transaction.atomic():
                    self._advance("place", answer=answer, deadline=draft.now + KEPT_FOR)
                    draft.write()
                    if draft.moved_on is not None:
                        answer = dumps(draft.document())
                        CheckoutSaga.objects.filter(pk=self.saga.pk).update(answer=answer)
                    failpoint("checkout.place.inside")
            except IntegrityError as error:
                if "order_number_unique" not in str(error) or not tries_left:
                    raise
            else:
                break
        return answer

    def _advance(self, name: str, **values: Any) -> None:
        """The named transition of the saga, on condition that it is still this request's. Raises `_Lost`."""
        transition = CHECKOUT_TRANSITIONS[name]
        ours = CheckoutSaga.objects.filter(
            pk=self.saga.pk, attempts=self.saga.attempts, step__in=transition.sources
        ).update(step=transition.target, **values, updated_at=timezone.now())
        if not ours:
            raise _Lost


def _release_early(order: Order) -> None:
    """What a replaced order held comes back by its event; asking for it now spares the buyer a needless refusal."""
    try:
        if order.coupon_codes:
            with around("checkout.return_earlier_coupons"):
                clients.return_coupons(order.id)
        with around("checkout.release_earlier"):
            clients.release(order.id)
    except DomainError as error:
        logger.info("early_release_skipped", order=str(order.id), error=str(error))
