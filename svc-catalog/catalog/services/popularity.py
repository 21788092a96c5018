"""Popularity: how many units of a product were sold."""

from __future__ import annotations

from django.db import connection

from catalog.services.transactions import committing

_COUNT_SALES = """
WITH claimed AS (
    SELECT order_id FROM catalog_reservation WHERE status = 'sold' AND NOT counted
    ORDER BY order_id LIMIT %(limit)s FOR NO KEY UPDATE SKIP LOCKED
), marked AS (
    UPDATE catalog_reservation r SET counted = true FROM claimed c WHERE r.order_id = c.order_id
), sold AS (
    SELECT l.product_id, sum(l.quantity) AS units
    FROM catalog_reservationline l JOIN claimed c ON c.order_id = l.reservation_id
    GROUP BY l.product_id
), locked AS MATERIALIZED (
    SELECT p.id, s.units FROM catalog_product p JOIN sold s ON s.product_id = p.id ORDER BY p.id FOR NO KEY UPDATE OF p
), raised AS (
    UPDATE catalog_product p SET popularity = p.popularity + l.units FROM locked l WHERE p.id = l.id
)
SELECT count(*) FROM claimed
"""


def count_sales(*, limit: int = 500) -> int:
    """Adds the units of newly sold orders to `Product.popularity`, each order once. Says how many orders it counted."""
    counted = 0
    while True:
        with committing("popularity.commit"), connection.cursor() as cursor:
            cursor.execute(_COUNT_SALES, {"limit": limit})
            [batch] = cursor.fetchone()
        counted += batch
        if batch < limit:
            return counted
