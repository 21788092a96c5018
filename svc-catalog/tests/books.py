from __future__ import annotations

from django.db.models import F, Sum

from catalog.models import Product, ReservationLine, Stock, StockMovement


def books_balance() -> None:
    """Stock, movements, reservations and the products' counters tell the same story."""
    for row in Stock.objects.all():
        movements = StockMovement.objects.filter(variant_id=row.pk)
        sums = movements.aggregate(on_hand=Sum("on_hand_delta"), reserved=Sum("reserved_delta"))
        assert (sums["on_hand"], sums["reserved"], movements.count()) == (
            row.on_hand,
            row.reserved,
            row.version,
        )
        assert set(movements.values_list("stock_version", flat=True)) == set(range(1, row.version + 1))
        held = ReservationLine.objects.filter(variant_id=row.pk, reservation__status="reserved").aggregate(
            sum=Sum("quantity")
        )
        assert (held["sum"] or 0) == row.reserved
    for product in Product.objects.all():
        in_stock = product.variants.filter(stock__on_hand__gt=F("stock__reserved")).count()
        assert product.variants_in_stock == in_stock
