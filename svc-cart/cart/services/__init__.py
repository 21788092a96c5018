"""Every write of svc-cart: `carts` and `wishlists` for people, `products` for the read model."""

from cart.services.carts import (
    Precondition,
    add_line,
    change_line,
    empty_cart,
    erase_user,
    expire_guest_carts,
    merge_carts,
    remove_line,
    subtract_ordered,
)
from cart.services.products import (
    archive_product,
    ensure_offers,
    rebuild_products,
    store_product,
    store_stock,
)
from cart.services.wishlists import add_wish, remove_wish

__all__ = [
    "Precondition",
    "add_line",
    "add_wish",
    "archive_product",
    "change_line",
    "empty_cart",
    "ensure_offers",
    "erase_user",
    "expire_guest_carts",
    "merge_carts",
    "rebuild_products",
    "remove_line",
    "remove_wish",
    "store_product",
    "store_stock",
    "subtract_ordered",
]
