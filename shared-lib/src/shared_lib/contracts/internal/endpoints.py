"""Every endpoint below `/internal/v1` that carries a payload or a right: who may call it, and with what.

The views of a service say the same (`InternalAPIView.callers`); `shared_lib.testing.contracts` compares the two.
"""

from __future__ import annotations

import msgspec

from shared_lib.contracts.internal import accounts, cart, catalog, payments


class Endpoint(msgspec.Struct, frozen=True):
    """`path` as the routes of the callee have it, below `/internal/v1/`, its parameters in braces.

    `problem`: what a problem document carries beside the usual members, one item of its list.
    """

    callee: str
    method: str
    path: str
    callers: tuple[str, ...]
    request: type[msgspec.Struct] | None = None
    response: type[msgspec.Struct] | None = None
    problem: type[msgspec.Struct] | None = None

    @property
    def name(self) -> str:
        return f"{self.method} {self.path}"


_ORDERS = ("svc-orders",)

ENDPOINTS: tuple[Endpoint, ...] = (
    Endpoint("svc-accounts", "GET", "users/{user_id}", ("svc-notifications", "svc-orders"), response=accounts.User),
    Endpoint("svc-accounts", "GET", "users/{user_id}/addresses/{address_id}", _ORDERS, response=accounts.UserAddress),
    Endpoint(
        "svc-accounts", "POST", "one-time-links", ("svc-notifications",),
        accounts.OneTimeLinkRequest, accounts.OneTimeLink,
    ),
    Endpoint("svc-cart", "GET", "carts/{user_id}", _ORDERS, response=cart.CartSnapshot),
    Endpoint("svc-cart", "GET", "carts/{user_id}/contents", ("svc-notifications",), response=cart.CartContents),
    Endpoint("svc-cart", "POST", "coupon-uses", _ORDERS, cart.CouponUseRequest, cart.CouponUse),
    Endpoint("svc-cart", "DELETE", "coupon-uses/{order_id}", _ORDERS),
    Endpoint("svc-catalog", "GET", "variants", ("svc-cart", "svc-orders"), response=catalog.VariantList),
    Endpoint("svc-catalog", "GET", "products", ("svc-cart",), response=catalog.ProductPage),
    Endpoint(
        "svc-catalog", "POST", "reservations", _ORDERS,
        catalog.ReservationRequest, catalog.Reservation, problem=catalog.Shortage,
    ),
    Endpoint("svc-catalog", "DELETE", "reservations/{order_id}", _ORDERS),
    Endpoint("svc-payments", "POST", "payments", _ORDERS, payments.PaymentRequest, payments.Payment),
    Endpoint("svc-payments", "GET", "payments/{payment_id}", _ORDERS, response=payments.Payment),
    Endpoint("svc-payments", "POST", "payments/{payment_id}/cancel", _ORDERS, response=payments.Payment),
    Endpoint(
        "svc-payments", "POST", "payments/{payment_id}/refunds", _ORDERS, payments.RefundRequest, payments.Refund
    ),
)  # fmt: skip
