from django.db import migrations

APPEND_ONLY = """
CREATE FUNCTION catalog_refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% is append-only', TG_TABLE_NAME USING ERRCODE = 'restrict_violation';
END
$$;
CREATE TRIGGER movement_append_only BEFORE UPDATE OR DELETE ON catalog_stockmovement
    FOR EACH ROW EXECUTE FUNCTION catalog_refuse_change();
"""

# Room on each page for the next versions of hot rows: an update then touches no index.
ROOM = """
ALTER TABLE catalog_stock SET (fillfactor = 50);
ALTER TABLE catalog_product SET (fillfactor = 85);
ALTER TABLE catalog_reservation SET (fillfactor = 80);
"""


class Migration(migrations.Migration):
    dependencies = [("catalog", "0001_initial")]

    operations = [
        migrations.RunSQL(
            APPEND_ONLY,
            "DROP TRIGGER movement_append_only ON catalog_stockmovement; DROP FUNCTION catalog_refuse_change();",
        ),
        migrations.RunSQL(
            ROOM,
            """
            ALTER TABLE catalog_stock RESET (fillfactor);
            ALTER TABLE catalog_product RESET (fillfactor);
            ALTER TABLE catalog_reservation RESET (fillfactor);
            """,
        ),
    ]
