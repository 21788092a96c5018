from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    # Carts stay writable while the index is made.
    atomic = False

    dependencies = [
        ("cart", "0003_prices_seen_and_idle_carts"),
    ]

    operations = [
        AddIndexConcurrently(
            model_name="cart",
            index=models.Index(
                condition=models.Q(("idle_version__lt", models.F("version")), ("user_id__isnull", False)),
                fields=["updated_at"],
                name="cart_not_yet_idle",
            ),
        ),
    ]
