from django.db import migrations

# Until now an order went in one parcel that held all of it, so nothing said which lines were in it. Parcels without lines that
# an instance of the version before makes while this one is rolled out are filled in by running it again: `migrate orders 0004`, `migrate orders`.
FILL = """
    INSERT INTO orders_shipmentline (id, created_at, updated_at, shipment_id, line_id, quantity)
    SELECT gen_random_uuid(), shipment.created_at, now(), shipment.id, line.id, line.quantity
    FROM orders_shipment AS shipment
    JOIN orders_orderline AS line ON line.order_id = shipment.order_id
    WHERE line.shipped_quantity = 0
      AND NOT EXISTS (SELECT 1 FROM orders_shipmentline AS known WHERE known.shipment_id = shipment.id);
    UPDATE orders_orderline AS line
    SET shipped_quantity = line.quantity, updated_at = now()
    FROM orders_shipmentline AS packed
    WHERE packed.line_id = line.id AND line.shipped_quantity = 0;
"""


class Migration(migrations.Migration):
    dependencies = [
        ("orders", "0004_parcels_refunds_returns"),
    ]

    operations = [
        migrations.RunSQL(FILL, migrations.RunSQL.noop),
    ]
