from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("keys", "0009_call_counts")]

    operations = [
        migrations.AddIndex(
            model_name="apikeysecret",
            index=models.Index(fields=["prefix"], name="api_key_secret_by_start"),
        ),
    ]
