"""Writing wish lists."""

from __future__ import annotations

from uuid import UUID

from django.db import transaction

from cart.exceptions import VariantNotFound, WishlistItemNotFound
from cart.models import MAX_WISHLIST_ITEMS, WishlistItem
from cart.selectors import Owner, find_offers, find_wish
from cart.services.carts import add_line
from cart.services.locks import Precondition, accept
from shared_lib.exceptions import InvalidValue


@transaction.atomic
def add_wish(*, user_id: UUID, variant_id: UUID) -> tuple[UUID, bool]:
    """Puts a variant on the wish list, once. Returns the item's id and whether it is new.

    What is sold out may be wished for. Raises `VariantNotFound`, or `InvalidValue` beyond 200 items.
    """
    offer = find_offers(variant_ids=[variant_id]).get(variant_id)
    if offer is None or not offer.is_sold:
        raise VariantNotFound
    items = WishlistItem.objects.filter(user_id=user_id)
    known = items.filter(variant_id=variant_id).first()
    if known is not None:
        return known.pk, False
    if items.count() >= MAX_WISHLIST_ITEMS:
        raise InvalidValue(
            "variant_id", f"A wish list holds at most {MAX_WISHLIST_ITEMS} items.", "max_items"
        )
    item = WishlistItem(user_id=user_id, variant_id=variant_id)
    WishlistItem.objects.bulk_create([item], ignore_conflicts=True)
    stored = items.get(variant_id=variant_id)
    return stored.pk, stored.pk == item.pk


@transaction.atomic
def remove_wish(*, user_id: UUID, item_id: UUID) -> None:
    """Takes an item off the wish list. Raises `WishlistItemNotFound`."""
    removed, _ = WishlistItem.objects.filter(user_id=user_id, pk=item_id).delete()
    if not removed:
        raise WishlistItemNotFound


@transaction.atomic
def move_wish(*, user_id: UUID, item_id: UUID, quantity: int, precondition: Precondition = accept) -> None:
    """Puts a wish into the user's cart and takes it off the list; if the cart cannot take it, it stays on the list.

    Raises `WishlistItemNotFound` and what `add_line` raises.
    """
    variant_id = find_wish(user_id=user_id, item_id=item_id).variant_id
    add_line(owner=Owner.user(user_id), variant_id=variant_id, quantity=quantity, precondition=precondition)
    # The cart is locked now: of two that move the same wish, the second finds it gone and takes its line back.
    remove_wish(user_id=user_id, item_id=item_id)
