"""Writing carts. Every function locks the rows of the carts that it changes first, several of them in pk order."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Mapping
from datetime import datetime
from uuid import UUID

from django.db import transaction
from django.db.models import Q

from cart.exceptions import InsufficientStock, LineNotFound, VariantNotFound
from cart.models import MAX_LINE_QUANTITY, MAX_LINES, Cart, CartLine, CouponUse, WishlistItem
from cart.selectors import Offer, Owner, find_offers, hash_token
from cart.services.coupon_uses import mark_uses_paid
from cart.services.coupons import carry_coupons_over
from cart.services.locks import Precondition, accept, lock_cart, save_changed
from shared_lib.exceptions import InvalidValue
from shared_lib.failpoints import around, failpoint


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
    _check_quantity(wanted, offer)
    if variant_id in quantities:
        cart.lines.filter(variant_id=variant_id).update(quantity=wanted)
    elif len(quantities) >= MAX_LINES:
        raise InvalidValue("variant_id", f"A cart holds at most {MAX_LINES} lines.", "max_lines")
    else:
        CartLine.objects.create(cart=cart, variant_id=variant_id, quantity=wanted)
    save_changed(cart)
    return token


@transaction.atomic
def change_line(*, owner: Owner, line_id: UUID, quantity: int, precondition: Precondition = accept) -> None:
    """Sets the quantity of a line. Raises `LineNotFound`, `InsufficientStock`, or `InvalidValue` beyond the limit."""
    cart, line = _lock_line(owner, line_id)
    precondition(cart)
    offer = find_offers(variant_ids=[line.variant_id]).get(line.variant_id)
    _check_quantity(quantity, offer or Offer(line.variant_id, False, 0))
    if line.quantity != quantity:
        line.quantity = quantity
        line.save(update_fields=["quantity"])
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


@transaction.atomic
def merge_carts(*, user_id: UUID, token_hash: bytes) -> None:
    """Moves a guest's lines and coupons into the user's cart and ends the guest's cart; its token is spent then.

    Never refuses: an unknown or spent token changes nothing. Quantities add up to what the limits and the stock allow,
    but never take away from what the user had. What does not fit, or is sold out, stays behind.
    """
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
    cart = Cart.objects.select_for_update(no_key=True).filter(pk=cart_id, user_id=user_id).first()
    if cart is None:
        return
    lines = list(cart.lines.filter(variant_id__in=quantities))
    kept = []
    for line in lines:
        left = line.quantity - quantities[line.variant_id]
        if left > 0:
            line.quantity = left
            kept.append(line)
    CartLine.objects.bulk_update(kept, ["quantity"])
    cart.lines.filter(pk__in={line.pk for line in lines} - {line.pk for line in kept}).delete()
    used, _ = cart.applied_coupons.filter(coupon__code__in=list(codes)).delete()
    if lines or used:
        save_changed(cart)
    failpoint("order.subtract.inside")


@transaction.atomic(savepoint=False)
def erase_user(*, user_id: UUID) -> None:
    """Forgets everything about a user. Uses of coupons still count, but name nobody."""
    Cart.objects.filter(user_id=user_id).delete()
    WishlistItem.objects.filter(user_id=user_id).delete()
    CouponUse.objects.filter(user_id=user_id).update(user_id=None)


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


def _check_quantity(wanted: int, offer: Offer) -> None:
    if wanted > MAX_LINE_QUANTITY:
        raise InvalidValue("quantity", f"At most {MAX_LINE_QUANTITY} of one variant.", "max_value")
    if wanted > offer.available:
        raise InsufficientStock(available=offer.available)


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
            added = CartLine(cart=mine, variant_id=line.variant_id, quantity=min(line.quantity, most))
            kept[line.variant_id] = added
            new.append(added)
    CartLine.objects.bulk_update(grown, ["quantity"])
    CartLine.objects.bulk_create(new)
    return bool(grown or new)
