"""Reading carts, what can be put into them, and wish lists."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any
from uuid import UUID

import msgspec
from django.conf import settings
from django.db import connection
from django.db.models import QuerySet

from cart.discounts import Effect, Part, Rule, apply, usable
from cart.exceptions import WishlistItemNotFound
from cart.models import CouponKind, Stock, Variant, WishlistItem
from cart.selectors.coupons import coupons_in_carts, rule_of
from shared_lib.contracts.internal.cart import (
    CartContents,
    CartContentsLine,
    CartCoupon,
    CartSnapshot,
    CartSnapshotLine,
)
from shared_lib.money import Money

NO_CART = UUID(int=0)


@dataclass(frozen=True, slots=True)
class Owner:
    """Whose cart is meant: that of a user, or of a guest by the hash of the cart token. A guest may have neither."""

    user_id: UUID | None = None
    token_hash: bytes | None = None

    @classmethod
    def user(cls, user_id: UUID) -> Owner:
        return cls(user_id=user_id)

    @classmethod
    def guest(cls, token: str) -> Owner:
        """Any text will do: one that was never given out names no cart."""
        return cls(token_hash=hash_token(token)) if token else cls()

    @property
    def key(self) -> dict[str, Any] | None:
        """The look-up of the cart's row; None for a guest without a token."""
        if self.user_id is not None:
            return {"user_id": self.user_id}
        if self.token_hash is not None:
            return {"token_hash": self.token_hash}
        return None


def hash_token(token: str) -> bytes:
    """SHA-256 of a cart token, 32 bytes. A token has 256 random bits, so that a plain hash is enough."""
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).digest()


class ShownProduct(msgspec.Struct, frozen=True):
    id: UUID
    slug: str
    name: str
    thumbnail: str | None


class Availability(StrEnum):
    """Whether the units of a line can be bought. Part of the public contract."""

    AVAILABLE = "available"
    INSUFFICIENT = "insufficient"
    SOLD_OUT = "sold_out"
    NOT_SOLD = "not_sold"


class PriceChange(msgspec.Struct, frozen=True):
    """What the buyer saw, and what is asked now; in JSON `from` and `to`."""

    before: Money = msgspec.field(name="from")
    now: Money = msgspec.field(name="to")


class ShownLine(msgspec.Struct, frozen=True):
    """`available`: units that can be bought at this moment, 0 for what is not sold any more.

    `price_changed` is null while the price is what the buyer saw when the line was put in or changed.
    """

    id: UUID
    variant_id: UUID
    product: ShownProduct
    quantity: int
    unit_price: Money
    line_total: Money
    available: int
    availability: Availability
    price_changed: PriceChange | None


class ShownCoupon(msgspec.Struct, frozen=True):
    """A coupon in the cart. `reason` is a word of `cart.discounts.Reason` when it does not apply at this moment."""

    code: str
    kind: str
    applied: bool
    reason: str | None
    discount: Money


class ShownCart(msgspec.Struct, frozen=True):
    """A cart as the public contract shows it. `id` is null and `version` 0 as long as there is none."""

    id: UUID | None
    version: int
    lines: list[ShownLine]
    coupons: list[ShownCoupon]
    subtotal: Money
    discount: Money
    total: Money


class Offer(msgspec.Struct, frozen=True):
    """What the read model knows of a variant: whether it is sold, how many can be bought, and for how much each."""

    variant_id: UUID
    is_sold: bool
    available: int
    price_amount: int


_SHOW = """
SELECT c.id, c.version, l.id, l.variant_id, l.quantity, v.price_amount, v.currency,
       p.id, p.slug, p.name, p.thumbnail, v.sold AND NOT p.archived, s.available, l.seen_amount, p.category,
       EXISTS (SELECT 1 FROM cart_appliedcoupon a WHERE a.cart_id = c.id)
FROM cart_cart c
LEFT JOIN cart_cartline l ON l.cart_id = c.id
LEFT JOIN cart_variant v ON v.id = l.variant_id
LEFT JOIN cart_product p ON p.id = v.product_id
LEFT JOIN cart_stock s ON s.variant_id = l.variant_id
WHERE %s
ORDER BY l.id
"""

_SHOW_BY = {
    "user_id": _SHOW.replace("WHERE %s", "WHERE c.user_id = %s"),
    "token_hash": _SHOW.replace("WHERE %s", "WHERE c.token_hash = %s"),
}


def show_cart(*, owner: Owner) -> ShownCart:
    """The cart of `owner` with prices and availability of the read model; an empty one if there is none.

    One query, and a second one if there are coupons.
    """
    rows: list[Any] = []
    for column, value in (owner.key or {}).items():
        with connection.cursor() as cursor:
            cursor.execute(_SHOW_BY[column], [value])
            rows = cursor.fetchall()
    lines = [_shown_line(*row[2:14]) for row in rows if row[2] is not None]
    effects: list[Effect] = []
    if rows and rows[0][15]:
        parts = [Part(row[14], row[4] * row[5]) for row in rows if row[2] is not None]
        coupons = coupons_in_carts(cart_ids=[rows[0][0]], user_id=owner.user_id)
        effects = apply(map(rule_of, coupons), parts)
    nothing = Money.zero(settings.SHOP_CURRENCY)
    subtotal = sum((line.line_total for line in lines), start=nothing)
    discount = Money(sum(effect.discount for effect in effects), settings.SHOP_CURRENCY)
    return ShownCart(
        id=rows[0][0] if rows else None,
        version=rows[0][1] if rows else 0,
        lines=lines,
        coupons=[_shown_coupon(effect) for effect in effects],
        subtotal=subtotal,
        discount=discount,
        total=subtotal - discount,
    )


def _shown_coupon(effect: Effect) -> ShownCoupon:
    return ShownCoupon(
        code=effect.rule.code,
        kind=effect.rule.kind,
        applied=effect.reason is None,
        reason=effect.reason.value if effect.reason else None,
        discount=Money(effect.discount, settings.SHOP_CURRENCY),
    )


def _shown_line(
    line_id: UUID,
    variant_id: UUID,
    quantity: int,
    price: int,
    currency: str,
    product_id: UUID,
    slug: str,
    name: str,
    thumbnail: str,
    is_sold: bool,
    in_stock: int | None,
    seen: int | None,
) -> ShownLine:
    available = _available(is_sold, in_stock)
    unchanged = seen is None or seen == price
    return ShownLine(
        id=line_id,
        variant_id=variant_id,
        product=ShownProduct(product_id, slug, name, absolute_url(thumbnail)),
        quantity=quantity,
        unit_price=Money(price, currency),
        line_total=Money(price * quantity, currency),
        available=available,
        availability=_availability(is_sold, available, quantity),
        price_changed=None if unchanged else PriceChange(Money(seen or 0, currency), Money(price, currency)),
    )


def _availability(is_sold: bool, available: int, quantity: int) -> Availability:
    if not is_sold:
        return Availability.NOT_SOLD
    if available == 0:
        return Availability.SOLD_OUT
    return Availability.AVAILABLE if quantity <= available else Availability.INSUFFICIENT


def _available(is_sold: bool, in_stock: int | None) -> int:
    return max(in_stock or 0, 0) if is_sold else 0


def absolute_url(thumbnail: str) -> str | None:
    """Pictures live below PUBLIC_BASE_URL unless the catalog gave a whole URL. None for no picture."""
    if thumbnail.startswith("/"):
        return f"{settings.PUBLIC_BASE_URL}{thumbnail}"
    return thumbnail or None


_SNAPSHOT = """
SELECT c.id, c.version, l.id, l.variant_id, l.quantity, p.category,
       EXISTS (SELECT 1 FROM cart_appliedcoupon a WHERE a.cart_id = c.id)
FROM cart_cart c
LEFT JOIN cart_cartline l ON l.cart_id = c.id
LEFT JOIN cart_variant v ON v.id = l.variant_id
LEFT JOIN cart_product p ON p.id = v.product_id
WHERE c.user_id = %s
ORDER BY l.id
"""


def cart_snapshot(*, user_id: UUID) -> CartSnapshot:
    """The user's cart as svc-orders needs it. Without a cart: the nil UUID, version 0, no lines.

    One query, and a second one if there are coupons. Those are left out that this user may not use now.
    """
    with connection.cursor() as cursor:
        cursor.execute(_SNAPSHOT, [user_id])
        rows = cursor.fetchall()
    coupons: list[CartCoupon] = []
    if rows and rows[0][6]:
        found = coupons_in_carts(cart_ids=[rows[0][0]], user_id=user_id)
        variants = [(row[3], row[5]) for row in rows if row[2] is not None]
        coupons = [
            _told_coupon(rule, variants) for rule, reason in usable(map(rule_of, found)) if reason is None
        ]
    return CartSnapshot(
        cart_id=rows[0][0] if rows else NO_CART,
        user_id=user_id,
        version=rows[0][1] if rows else 0,
        lines=[
            CartSnapshotLine(line_id=row[2], variant_id=row[3], quantity=row[4])
            for row in rows
            if row[2] is not None
        ],
        coupons=coupons,
    )


def cart_contents(*, user_id: UUID) -> CartContents:
    """The user's cart as a mail shows it. Without a cart: version 0, no lines."""
    cart = show_cart(owner=Owner.user(user_id))
    return CartContents(
        version=cart.version,
        lines=[
            CartContentsLine(
                name=line.product.name,
                quantity=line.quantity,
                line_total=line.line_total,
                available=line.available,
            )
            for line in cart.lines
        ],
        subtotal=cart.subtotal,
    )


def _told_coupon(rule: Rule, variants: list[tuple[UUID, str]]) -> CartCoupon:
    currency = settings.SHOP_CURRENCY
    return CartCoupon(
        code=rule.code,
        kind=rule.kind,  # type: ignore[arg-type]
        basis_points=rule.basis_points,
        amount=Money(rule.fixed, currency) if rule.kind == CouponKind.FIXED else None,
        minimum=Money(rule.minimum, currency) if rule.minimum else None,
        variant_ids=None
        if rule.categories is None
        else [variant_id for variant_id, category in variants if rule.takes_from(category)],
    )


def find_offers(*, variant_ids: Iterable[UUID]) -> dict[UUID, Offer]:
    """The offers of the variants whose product, price and stock are all known here; the others are left out."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT v.id, v.sold AND NOT p.archived, s.available, v.price_amount FROM cart_variant v"
            " JOIN cart_product p ON p.id = v.product_id JOIN cart_stock s ON s.variant_id = v.id"
            " WHERE v.id = ANY(%s)",
            [list(variant_ids)],
        )
        return {
            variant_id: Offer(variant_id, is_sold, _available(is_sold, in_stock), price)
            for variant_id, is_sold, in_stock, price in cursor.fetchall()
        }


def wishlist(*, user_id: UUID) -> QuerySet[WishlistItem]:
    """The user's wish list with everything that is shown of it, in one query."""
    return WishlistItem.objects.filter(user_id=user_id).select_related("variant__product", "variant__stock")


def find_wish(*, user_id: UUID, item_id: UUID) -> WishlistItem:
    """Raises `WishlistItemNotFound`."""
    item = WishlistItem.objects.filter(user_id=user_id, pk=item_id).first()
    if item is None:
        raise WishlistItemNotFound
    return item


def units_available(variant: Variant) -> int:
    """`available` of a variant that was selected with its product and stock."""
    stock: Stock | None = getattr(variant, "stock", None)
    return _available(variant.sold and not variant.product.archived, stock.available if stock else None)
