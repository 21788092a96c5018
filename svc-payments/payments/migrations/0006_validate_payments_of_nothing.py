from django.contrib.postgres.operations import ValidateConstraint
from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("payments", "0005_payments_of_nothing")]

    operations = [ValidateConstraint("payment", "payment_amount_positive_or_nothing_to_do")]
