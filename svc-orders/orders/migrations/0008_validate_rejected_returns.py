from django.contrib.postgres.operations import ValidateConstraint
from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("orders", "0007_order_language")]

    operations = [
        ValidateConstraint("return", "return_status_known"),
        ValidateConstraint("return", "return_rejected_has_a_reason"),
    ]
