"""An access key can be named together with its account."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("accounts", "0006_find_users")]

    operations = [
        migrations.AddConstraint(
            model_name="accesskey",
            constraint=models.UniqueConstraint(fields=["account", "id"], name="access_key_account_id"),
        ),
    ]
