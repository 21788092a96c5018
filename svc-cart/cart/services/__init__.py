"""Every write of svc-cart.

`carts`, `coupons` and `wishlists` for people, `coupon_uses` for orders, `products` for the read model.
"""

from cart.services.carts import (
    add_line,
    change_line,
    empty_cart,
    erase_user,
    expire_guest_carts,
    merge_carts,
    publish_abandoned_carts,
    remove_line,
    subtract_ordered,
)
from cart.services.coupon_uses import forget_closed_orders, give_uses_back, use_coupon
from cart.services.coupons import (
    apply_coupon,
    change_coupon,
    create_coupon,
    find_subtrees,
    refresh_coupon_categories,
    remove_coupon,
    stop_coupon,
)
from cart.services.locks import Precondition
from cart.services.products import (
    archive_product,
    ensure_offers,
    rebuild_products,
    store_product,
    store_stock,
)
from cart.services.wishlists import add_wish, move_wish, remove_wish

__all__ = [
    "Precondition",
    "add_line",
    "add_wish",
    "apply_coupon",
    "archive_product",
    "change_coupon",
    "change_line",
    "create_coupon",
    "empty_cart",
    "ensure_offers",
    "erase_user",
    "expire_guest_carts",
    "find_subtrees",
    "forget_closed_orders",
    "give_uses_back",
    "merge_carts",
    "move_wish",
    "publish_abandoned_carts",
    "rebuild_products",
    "refresh_coupon_categories",
    "remove_coupon",
    "remove_line",
    "remove_wish",
    "stop_coupon",
    "store_product",
    "store_stock",
    "subtract_ordered",
    "use_coupon",
]
