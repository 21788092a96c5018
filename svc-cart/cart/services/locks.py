"""The row of a cart, locked: what every write to a cart begins with."""

from __future__ import annotations

from collections.abc import Callable

from cart.models import Cart
from cart.selectors import Owner

# Called with the locked cart before anything changes; raises to refuse the change.
Precondition = Callable[[Cart], None]


def accept(cart: Cart) -> None:
    """The precondition of those who have none."""


def lock_cart(owner: Owner) -> Cart | None:
    if owner.key is None:
        return None
    return Cart.objects.select_for_update(no_key=True).filter(**owner.key).first()


def save_changed(cart: Cart) -> None:
    cart.bump()
    cart.save(update_fields=["version", "updated_at"])
