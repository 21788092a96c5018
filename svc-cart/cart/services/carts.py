"""Writing carts. Every function locks the rows of the carts that it changes first, several of them in pk order."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

import structlog
from django.db import DatabaseError, connection, transaction
from django.db.models import F, Q

from cart.exceptions import InsufficientStock, LineNotFound, VariantNotFound
from cart.models import MAX_LINE_QUANTITY, MAX_LINES, Cart, CartLine, CouponUse, WishlistItem
from cart.selectors import Owner, find_offers, hash_token
from cart.services.coupon_uses import mark_uses_paid
from cart.services.coupons import carry_coupons_over
from cart.services.locks import Precondition, accept, lock_cart, save_changed
from shared_lib.contracts.events import CartAbandoned
from shared_lib.events import publish
from shared_lib.exceptions import InvalidValue
from shared_lib.failpoints import around, failpoint
from shared_lib.idempotency.models import IdempotencyKey

log = structlog.get_logger(__name__)

_MERGE_ATTEMPTS = 2

_LOCK_ORDERED = "SELECT 1 FROM cart_cart WHERE id = %(cart)s AND user_id = %(user)s FOR NO KEY UPDATE"

# Every paid order comes through here. A statement sees the lines as they were at its start, so the lock comes before it.
_SUBTRACT = """
WITH ordered AS MATERIALIZED (
    SELECT * FROM unnest(%(variants)s::uuid[], %(quantities)s::bigint[]) AS o (variant_id, quantity)
), gone AS (
    DELETE FROM cart_cartline l USING ordered o
    WHERE l.cart_id = %(cart)s AND l.variant_id = o.variant_id AND l.quantity <= o.quantity
    RETURNING 1
), kept AS (
    UPDATE cart_cartline l SET quantity = l.quantity - o.quantity FROM ordered o
    WHERE l.cart_id = %(cart)s AND l.variant_id = o.variant_id AND l.quantity > o.quantity
    RETURNING 1
), used AS (
    DELETE FROM cart_appliedcoupon a USING cart_coupon c
    WHERE a.cart_id = %(cart)s AND c.id = a.coupon_id AND c.code = ANY(%(codes)s::text[])
    RETURNING 1
)
UPDATE cart_cart SET version = version + 1, updated_at = statement_timestamp()
WHERE id = %(cart)s
    AND (EXISTS (SELECT FROM gone) OR EXISTS (SELECT FROM kept) OR EXISTS (SELECT FROM used))
"""


@transaction.atomic
def add_line(
    *, owner: Owner, variant_id: UUID, quantity: int, precondition: Precondition = accept
) -> str | None:
    """Puts `quantity` more of a variant into the cart; makes the cart if there is none.

    Returns the token of a guest's cart that was made by this call, which nobody can learn later, else None.
    Raises `VariantNotFound`, `InsufficientStock`, or `InvalidValue` beyond the limits. The offer is what the read model
    knows: `ensure_offers` has asked the catalog before.
    """
    cart, token = _open_cart(owner)
    precondition(cart)
    offer = find_offers(variant_ids=[variant_id]).get(variant_id)
    if offer is None or not offer.is_sold:
        raise VariantNotFound
    quantities = dict(cart.lines.values_list("variant_id", "quantity"))
    wanted = quantities.get(variant_id, 0) + quantity
    _check_quantity(wanted, offer.available)
    if variant_id in quantities:
        cart.lines.filter(variant_id=variant_id).update(quantity=wanted, seen_amount=offer.price_amount)
    elif len(quantities) >= MAX_LINES:
        raise InvalidValue("variant_id", f"A cart holds at most {MAX_LINES} lines.", "max_lines")
    else:
        CartLine.objects.create(
            cart=cart, variant_id=variant_id, quantity=wanted, seen_amount=offer.price_amount
        )
    save_changed(cart)
    return token


@transaction.atomic
def change_line(*, owner: Owner, line_id: UUID, quantity: int, precondition: Precondition = accept) -> None:
    """Sets the quantity of a line; the same quantity again only says that the buyer has seen the price of now.

    Raises `LineNotFound`, `InsufficientStock`, or `InvalidValue` beyond the limit.
    """
    cart, line = _lock_line(owner, line_id)
    precondition(cart)
    offer = find_offers(variant_ids=[line.variant_id]).get(line.variant_id)
    _check_quantity(quantity, offer.available if offer else 0)
    is_changed = line.quantity != quantity
    line.quantity = quantity
    line.seen_amount = offer.price_amount if offer else line.seen_amount
    line.save(update_fields=["quantity", "seen_amount"])
    if is_changed:
        save_changed(cart)


@transaction.atomic
def remove_line(*, owner: Owner, line_id: UUID, precondition: Precondition = accept) -> None:
    """Takes a line out. Raises `LineNotFound`."""
    cart, line = _lock_line(owner, line_id)
    precondition(cart)
    line.delete()
    save_changed(cart)


@transaction.atomic
def empty_cart(*, owner: Owner, precondition: Precondition = accept) -> None:
    """Takes all lines and coupons out. The cart itself stays, and so does a guest's token."""
    cart = lock_cart(owner)
    if cart is None:
        return
    precondition(cart)
    lines, _ = cart.lines.all().delete()
    coupons, _ = cart.applied_coupons.all().delete()
    if lines or coupons:
        save_changed(cart)


def merge_carts(*, user_id: UUID, token_hash: bytes) -> None:
    """Moves a guest's lines and coupons into the user's cart and ends the guest's cart; its token is spent then.

    Never refuses: an unknown or spent token changes nothing. Quantities add up to what the limits and the stock allow,
    but never take away from what the user had. What does not fit, or is sold out, stays behind. A database that cannot do
    it now (a deadlock, a lock held too long) changes nothing either: the guest's cart stays, to be merged another time.
    """
    for _ in range(_MERGE_ATTEMPTS):
        try:
            _merge(user_id=user_id, token_hash=token_hash)
        except DatabaseError as error:
            log.warning("merge_failed", user_id=str(user_id), reason=f"{type(error).__name__}: {error}")
        else:
            return


@transaction.atomic
def _merge(*, user_id: UUID, token_hash: bytes) -> None:
    if not Cart.objects.filter(token_hash=token_hash).exists():
        return
    Cart.objects.bulk_create([Cart(user_id=user_id, version=0)], ignore_conflicts=True)
    mine: Cart | None = None
    guest: Cart | None = None
    for cart in (
        Cart.objects.select_for_update().filter(Q(user_id=user_id) | Q(token_hash=token_hash)).order_by("pk")
    ):
        if cart.user_id is None:
            guest = cart
        else:
            mine = cart
    if mine is None or guest is None:
        return
    changes = [_move_lines(guest, mine), carry_coupons_over(guest, mine)]
    if any(changes):
        save_changed(mine)
    guest.delete()


@around("order.subtract")
@transaction.atomic(savepoint=False)
def subtract_ordered(
    *,
    order_id: UUID,
    cart_id: UUID,
    user_id: UUID,
    quantities: Mapping[UUID, int],
    codes: Iterable[str] = (),
) -> None:
    """Takes exactly what was paid for out of the user's cart; what was added since the order stays.

    `quantities` are units by variant, `codes` the coupons that the order used: their uses count for good. Lines that are
    gone, or a cart that is gone, are fine.
    """
    mark_uses_paid(order_id=order_id)
    parameters: dict[str, Any] = {
        "cart": cart_id,
        "user": user_id,
        "variants": list(quantities),
        "quantities": list(quantities.values()),
        "codes": list(codes),
    }
    with connection.cursor() as cursor:
        cursor.execute(_LOCK_ORDERED, parameters)
        if cursor.fetchone() is None:
            return
        cursor.execute(_SUBTRACT, parameters)
    failpoint("order.subtract.inside")


@transaction.atomic(savepoint=False)
def erase_user(*, user_id: UUID) -> None:
    """Forgets everything about a user. Uses of coupons still count, but name nobody."""
    Cart.objects.filter(user_id=user_id).delete()
    WishlistItem.objects.filter(user_id=user_id).delete()
    CouponUse.objects.filter(user_id=user_id).update(user_id=None)
    IdempotencyKey.objects.filter(user_id=str(user_id)).delete()


@transaction.atomic
def expire_guest_carts(*, unchanged_since: datetime, limit: int = 500) -> int:
    """Removes up to `limit` guest carts that nobody changed since then; says how many. Carts in use are passed over."""
    expired = (
        Cart.objects.select_for_update(skip_locked=True)
        .filter(user_id__isnull=True, updated_at__lt=unchanged_since)
        .order_by("updated_at")
        .values_list("pk", flat=True)[:limit]
    )
    keys = list(expired)
    Cart.objects.filter(pk__in=keys).delete()
    return len(keys)


@transaction.atomic
def publish_abandoned_carts(*, unchanged_since: datetime, not_before: datetime, limit: int = 200) -> int:
    """Tells once of each user's cart with lines that nobody changed since then; says how many carts it looked at.

    A cart that is changed and left again is told of again; what was left before `not_before` is no news any more. Carts in
    use are passed over, for the next time.
    """
    carts = list(
        Cart.objects.select_for_update(skip_locked=True, no_key=True)
        .filter(user_id__isnull=False, idle_version__lt=F("version"), updated_at__lt=unchanged_since)
        .order_by("updated_at")[:limit]
    )
    keys = [cart.pk for cart in carts]
    filled = set(CartLine.objects.filter(cart__in=keys).values_list("cart_id", flat=True))
    for cart in carts:
        if cart.pk in filled and cart.user_id is not None and cart.updated_at >= not_before:
            event = CartAbandoned(version=cart.version, cart_id=cart.pk, user_id=cart.user_id)
            publish(event, subject=str(cart.pk))
    # `updated_at` and `version` stay: lying idle is no change.
    Cart.objects.filter(pk__in=keys).update(idle_version=F("version"))
    return len(carts)


def _open_cart(owner: Owner) -> tuple[Cart, str | None]:
    """The locked cart, made if need be: for a user once whoever asks at the same time, for a guest with a new token."""
    cart = lock_cart(owner)
    if cart is not None:
        return cart, None
    if owner.user_id is None:
        token = secrets.token_urlsafe(32)
        return Cart.objects.create(token_hash=hash_token(token), version=0), token
    Cart.objects.bulk_create([Cart(user_id=owner.user_id, version=0)], ignore_conflicts=True)
    return Cart.objects.select_for_update(no_key=True).get(user_id=owner.user_id), None


def _lock_line(owner: Owner, line_id: UUID) -> tuple[Cart, CartLine]:
    cart = lock_cart(owner)
    line = cart.lines.filter(pk=line_id).first() if cart else None
    if cart is None or line is None:
        raise LineNotFound
    return cart, line


def _check_quantity(wanted: int, available: int) -> None:
    if wanted > MAX_LINE_QUANTITY:
        raise InvalidValue("quantity", f"At most {MAX_LINE_QUANTITY} of one variant.", "max_value")
    if wanted > available:
        raise InsufficientStock(available=available)


def _move_lines(guest: Cart, mine: Cart) -> bool:
    """Adds the guest's lines to the user's, oldest first; says whether anything changed. Both carts are locked."""
    kept = {line.variant_id: line for line in mine.lines.all()}
    brought = list(guest.lines.order_by("pk"))
    offers = find_offers(variant_ids=[line.variant_id for line in brought])
    grown, new = [], []
    for line in brought:
        offer = offers.get(line.variant_id)
        most = min(MAX_LINE_QUANTITY, offer.available) if offer else 0
        own = kept.get(line.variant_id)
        if own is not None:
            wanted = min(own.quantity + line.quantity, most)
            if wanted > own.quantity:
                own.quantity = wanted
                grown.append(own)
        elif most > 0 and len(kept) < MAX_LINES:
            added = CartLine(
                cart=mine,
                variant_id=line.variant_id,
                quantity=min(line.quantity, most),
                seen_amount=line.seen_amount,
            )
            kept[line.variant_id] = added
            new.append(added)
    CartLine.objects.bulk_update(grown, ["quantity"])
    CartLine.objects.bulk_create(new)
    return bool(grown or new)
