"""Calls to other services, one function each. None of them may be made while a database transaction is open.

All raise `ServiceUnavailable` when there is no usable answer; whether the call took effect is then unknown.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from uuid import UUID

import msgspec

from shared_lib.contracts.address import Address
from shared_lib.contracts.internal.accounts import UserAddress
from shared_lib.contracts.internal.cart import CartSnapshot, CouponUse, CouponUseRequest
from shared_lib.contracts.internal.catalog import (
    Reservation,
    ReservationLineRequest,
    ReservationRequest,
    Shortage,
    Variant,
    VariantList,
)
from shared_lib.contracts.internal.payments import Payment, PaymentRequest, Refund, RefundRequest
from shared_lib.exceptions import ServiceUnavailable, UpstreamProblem
from shared_lib.http import ServiceClient

_accounts = ServiceClient("svc-accounts")
_cart = ServiceClient("svc-cart")
_catalog = ServiceClient("svc-catalog")
_payments = ServiceClient("svc-payments")


class ShortOfStock(Exception):
    """Nothing was reserved, for want of `lines`.

    `certain` is False when an earlier sending of the same call got no answer and may still take effect.
    """

    def __init__(self, lines: list[Shortage], *, certain: bool) -> None:
        super().__init__(f"{len(lines)} lines fall short")
        self.lines = lines
        self.certain = certain


class PaymentRefused(Exception):
    """svc-payments refused for good to make this payment: there is none. `field` names what it did not like, if it did."""

    def __init__(self, detail: str, *, field: str = "") -> None:
        super().__init__(detail)
        self.detail = detail
        self.field = field


class CouponRefused(Exception):
    """svc-cart says that this coupon may not be used (any more); `reason` is one of its words."""

    def __init__(self, detail: str, *, reason: str) -> None:
        super().__init__(detail)
        self.detail = detail
        self.reason = reason


class RefundRefused(Exception):
    """svc-payments refused this refund for good."""


def get_address(*, user_id: UUID, address_id: UUID) -> Address | None:
    """An entry of the user's address book, None if there is no such entry."""
    try:
        found = _accounts.get(f"/internal/v1/users/{user_id}/addresses/{address_id}", type=UserAddress)
    except UpstreamProblem as problem:
        if problem.upstream_status == 404:
            return None
        raise
    return found.address


def get_cart(user_id: UUID) -> CartSnapshot:
    """The user's cart as it is now; without lines when there is none."""
    return _cart.get(f"/internal/v1/carts/{user_id}", type=CartSnapshot)


def use_coupon(request: CouponUseRequest) -> None:
    """Takes one use of a coupon for an order; the same again is the same use. Raises `CouponRefused`."""
    try:
        _cart.post("/internal/v1/coupon-uses", json=request, type=CouponUse, idempotent=True)
    except UpstreamProblem as problem:
        if problem.upstream_code == "coupon_use_closed":
            raise ServiceUnavailable("The coupons of this checkout were given back meanwhile.") from None
        if problem.upstream_code != "coupon_not_applicable":
            raise
        detail = str(problem.problem.get("detail", ""))
        raise CouponRefused(detail, reason=str(problem.problem.get("reason", "unknown"))) from None


def return_coupons(order_id: UUID) -> None:
    """Gives back every use of an order, and makes sure that a use still on its way takes nothing."""
    _cart.delete(f"/internal/v1/coupon-uses/{order_id}")


def get_variants(ids: Sequence[UUID]) -> dict[UUID, Variant]:
    """The variants of at most 100 `ids` that are known and sold."""
    found = _catalog.get("/internal/v1/variants", params={"ids": ",".join(map(str, ids))}, type=VariantList)
    return {variant.variant_id: variant for variant in found.results}


def reserve(*, order_id: UUID, lines: Iterable[tuple[UUID, int]]) -> Reservation:
    """Takes the stock of every line or of none; the same order again gets the same reservation.

    Raises `ShortOfStock`.
    """
    wanted = [
        ReservationLineRequest(variant_id=variant_id, quantity=quantity) for variant_id, quantity in lines
    ]
    request = ReservationRequest(order_id=order_id, lines=wanted)
    try:
        return _reserve(request, certain=True)
    except ServiceUnavailable as error:
        if not error.sent:
            raise
    return _reserve(request, certain=False)


def _reserve(request: ReservationRequest, *, certain: bool) -> Reservation:
    try:
        return _catalog.post("/internal/v1/reservations", json=request, type=Reservation)
    except UpstreamProblem as problem:
        if problem.upstream_code == "reservation_closed":
            raise ServiceUnavailable("The reservation of this checkout was closed meanwhile.") from None
        if problem.upstream_code != "out_of_stock":
            raise
        lines = msgspec.convert(problem.problem.get("lines", []), list[Shortage])
        raise ShortOfStock(lines, certain=certain) from None


def release(order_id: UUID) -> None:
    """Gives back the stock of an order, and makes sure that a reservation still on its way takes nothing."""
    _catalog.delete(f"/internal/v1/reservations/{order_id}")


def create_payment(request: PaymentRequest) -> Payment:
    """Makes the payment named by `request.payment_id`; the same again is the same payment. Raises `PaymentRefused`."""
    try:
        return _payments.post("/internal/v1/payments", json=request, type=Payment, idempotent=True)
    except UpstreamProblem as problem:
        if problem.upstream_status in (401, 403, 429):
            raise
        errors = problem.problem.get("errors") or [{}]
        detail = str(problem.problem.get("detail") or problem.upstream_code)
        raise PaymentRefused(detail, field=str(errors[0].get("field", ""))) from None


def cancel_payment(payment_id: UUID) -> Payment | None:
    """Asks to cancel: the answer's status is `canceled`, `succeeded` or `processing`.

    None: svc-payments does not know this payment, and will not make it any more.
    """
    try:
        return _payments.post(f"/internal/v1/payments/{payment_id}/cancel", type=Payment, idempotent=True)
    except UpstreamProblem as problem:
        if problem.upstream_status == 404:
            return None
        raise


def refund_payment(*, payment_id: UUID, request: RefundRequest) -> Refund:
    """Sends money back, once for each `request.refund_id`. Raises `RefundRefused`."""
    try:
        return _payments.post(
            f"/internal/v1/payments/{payment_id}/refunds", json=request, type=Refund, idempotent=True
        )
    except UpstreamProblem as problem:
        if problem.upstream_status in (401, 403, 429):
            raise
        raise RefundRefused(str(problem)) from None
