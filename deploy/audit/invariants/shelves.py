"""svc-cart's copy of what is sold: it lags behind svc-catalog by the time that an event takes, and no more."""

from __future__ import annotations

from audit.invariants.stock import CATALOG
from audit.model import Match, Row, Source, Verdict, invariant

CART = "svc-cart"

_STOCK = Source(
    CATALOG,
    """
    SELECT variant_id::text, extract(epoch FROM updated_at)::float8, version, on_hand - reserved
    FROM catalog_stock ORDER BY variant_id
    """,
)
_COPIED_STOCK = Source(
    CART, "SELECT variant_id::text, NULL::float8, version, available FROM cart_stock ORDER BY variant_id"
)
_PRICES = Source(
    CATALOG,
    """
    SELECT v.id::text, extract(epoch FROM greatest(v.updated_at, p.updated_at))::float8, p.version,
           v.price_amount || ' ' || p.currency, p.status, v.deleted_at IS NULL
    FROM catalog_variant v JOIN catalog_product p ON p.id = v.product_id ORDER BY v.id
    """,
)
_COPIED_PRICES = Source(
    CART,
    """
    SELECT v.id::text, extract(epoch FROM p.updated_at)::float8, p.version, v.price_amount || ' ' || v.currency,
           v.sold AND NOT p.archived
    FROM cart_variant v JOIN cart_product p ON p.id = v.product_id ORDER BY v.id
    """,
)


def _cart_shows_what_is_there(stock: Row | None, copy: Row | None) -> int | tuple[str, str]:
    """What the cart never heard of it asks for when somebody wants it."""
    if copy is None:
        return Verdict.SKIP
    if stock is None:
        return "a variant of svc-catalog", f"{copy[3]} available in version {copy[2]}"
    if stock[2:] == copy[2:]:
        return Verdict.HOLDS
    return f"{stock[3]} available in version {stock[2]}", f"{copy[3]} available in version {copy[2]}"


def _cart_shows_the_price(price: Row | None, copy: Row | None) -> int | tuple[str, str]:
    if copy is None:
        return Verdict.SKIP
    if price is None:
        return "a variant of svc-catalog", f"{copy[3]} in version {copy[2]}"
    _, _, version, amount, status, is_sold = price
    if copy[2] > version:
        return f"version {version} at most", f"version {copy[2]}"
    if status != "published" or not is_sold or not copy[4]:
        return Verdict.HOLDS if not (copy[4] and status == "archived") else ("not sold: archived", "sold")
    if (version, amount) == copy[2:4]:
        return Verdict.HOLDS
    return f"{amount} in version {version}", f"{copy[3]} in version {copy[2]}"


SHELF_INVARIANTS = (
    invariant(
        "cart-shows-what-is-there",
        "Of a variant that svc-cart knows it shows what svc-catalog has.",
        Match(_STOCK, _COPIED_STOCK, _cart_shows_what_is_there, CART),
    ),
    invariant(
        "cart-shows-the-price",
        "Of a variant that svc-cart knows it shows the price of svc-catalog, in a version that there was.",
        Match(_PRICES, _COPIED_PRICES, _cart_shows_the_price, CART),
    ),
)
