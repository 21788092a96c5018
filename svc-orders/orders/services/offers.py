"""What the buyer's cart would cost now, sent to the buyer's address: what quote and checkout have in common."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from orders import clients, selectors
from orders.exceptions import (
    AddressNotServed,
    CartChanged,
    EmptyCart,
    ForeignAmount,
    OutOfStock,
    PriceChanged,
)
from orders.models import ShippingMethod
from orders.totals import Cost, Totals, compute_totals
from shared_lib.contracts.address import Address
from shared_lib.contracts.internal.cart import CartCoupon, CartSnapshot
from shared_lib.contracts.internal.catalog import ReservedLine, Variant
from shared_lib.exceptions import InvalidValue
from shared_lib.failpoints import around
from shared_lib.money import Money


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckoutRequest:
    """What the buyer asks for. `destination` is an address, or the id of an entry of the buyer's address book."""

    shipping_method: str
    destination: Address | UUID
    payment_provider: str | None = None
    cart_version: int | None = None
    expected_total: Money | None = None


def quote_order(*, user_id: UUID, request: CheckoutRequest) -> dict[str, Any]:
    """What `place_order` would make now. Takes nothing and writes nothing; raises the same errors."""
    address = resolve_address(user_id, request)
    method = shipping_method(address.country, request.shipping_method)
    cart = wanted_cart(user_id, request)
    with around("quote.variants"):
        variants = clients.get_variants([line.variant_id for line in cart.lines])
    lines = _lines_now(cart, variants)
    totals = totals_of(lines, method, address, cart.coupons)
    check_expected(request, totals)
    return selectors.quote_document(lines, totals, cart_version=cart.version)


def resolve_address(user_id: UUID, request: CheckoutRequest) -> Address:
    """Raises `InvalidValue` for an address that is not in the buyer's book."""
    if isinstance(request.destination, Address):
        return request.destination
    with around("offer.address"):
        address = clients.get_address(user_id=user_id, address_id=request.destination)
    if address is None:
        raise InvalidValue("address_id", "There is no such address in your address book.", "not_found")
    return address


def shipping_method(country: str, code: str) -> ShippingMethod:
    """Raises `AddressNotServed`, or `InvalidValue` for a code that this country does not have."""
    methods = {method.code: method for method in selectors.shipping_methods(country)}
    if not methods:
        raise AddressNotServed(f"The shop does not ship to {country}.")
    if code not in methods:
        raise InvalidValue(
            "shipping_method", f"There is no such shipping method to {country}.", "unknown_shipping_method"
        )
    return methods[code]


def wanted_cart(user_id: UUID, request: CheckoutRequest) -> CartSnapshot:
    """Raises `EmptyCart`, or `CartChanged` when it is not the version that the buyer looked at."""
    with around("offer.cart"):
        cart = clients.get_cart(user_id)
    if request.cart_version is not None and request.cart_version != cart.version:
        raise CartChanged(cart_version=cart.version)
    if not cart.lines:
        raise EmptyCart
    return cart


def totals_of(
    lines: Sequence[ReservedLine], method: ShippingMethod, address: Address, coupons: Sequence[CartCoupon]
) -> Totals:
    """Raises `ForeignAmount` for a price that is negative, or in another currency than shipping is.

    Raises `InvalidValue` for a way to ship that does not take that much.
    """
    for line in lines:
        if line.unit_price.currency != method.currency or line.unit_price.amount < 0:
            raise ForeignAmount(f"variant {line.variant_id} costs {line.unit_price.format()}")
    goods = sum(line.unit_price.amount * line.quantity for line in lines)
    grams = sum(line.weight_grams * line.quantity for line in lines)
    if not method.takes(grams):
        raise InvalidValue(
            "shipping_method",
            f"It takes at most {method.max_grams} g, the goods weigh {grams} g.",
            "too_heavy",
        )
    shipping = Money(method.price_of(goods=goods, grams=grams), method.currency)
    costs = [Cost(line.variant_id, line.unit_price * line.quantity) for line in lines]
    return compute_totals(costs, shipping=shipping, country=address.country, coupons=coupons)


def check_expected(request: CheckoutRequest, totals: Totals) -> None:
    expected = request.expected_total
    if expected is not None and expected != Money(totals.total, totals.currency):
        raise PriceChanged(totals.document())


def _lines_now(cart: CartSnapshot, variants: dict[UUID, Variant]) -> list[ReservedLine]:
    """The cart's lines at today's prices. Raises `OutOfStock` as the reservation would."""
    short = []
    lines = []
    for line in cart.lines:
        variant = variants.get(line.variant_id)
        available = variant.available if variant else 0
        if variant is None or available < line.quantity:
            short.append(
                {
                    "variant_id": str(line.variant_id),
                    "requested": line.quantity,
                    "available": max(available, 0),
                }
            )
            continue
        lines.append(
            ReservedLine(
                variant_id=variant.variant_id,
                product_id=variant.product_id,
                seller_id=variant.seller_id,
                sku=variant.sku,
                name=variant.name,
                quantity=line.quantity,
                unit_price=variant.unit_price,
                weight_grams=variant.weight_grams,
            )
        )
    if short:
        raise OutOfStock(short)
    return lines
