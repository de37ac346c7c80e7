"""When a word was told that a later one replaces: of an endpoint's description, of an instance's resources."""

from django.db import migrations, models

# The table is partitioned: its partitions get the column with it.
ADD = "ALTER TABLE analytics_resourceminute ADD COLUMN at timestamptz NOT NULL DEFAULT 'epoch'"
NO_DEFAULT = "ALTER TABLE analytics_resourceminute ALTER COLUMN at DROP DEFAULT"
DROP = "ALTER TABLE analytics_resourceminute DROP COLUMN at"


class Migration(migrations.Migration):
    dependencies = [("analytics", "0003_partitioned_observations")]

    operations = [
        migrations.AddField(
            model_name="endpoint",
            name="told_at",
            field=models.DateTimeField(
                editable=False, help_text="Of summary and description: an older word changes nothing.", null=True
            ),
        ),
        migrations.RunSQL(
            sql=[ADD, NO_DEFAULT],
            reverse_sql=DROP,
            state_operations=[
                migrations.AddField(
                    model_name="resourceminute",
                    name="at",
                    field=models.DateTimeField(
                        default="1970-01-01T00:00:00Z", help_text="When it was told; of one minute the last word stays."
                    ),
                    preserve_default=False,
                ),
            ],
        ),
    ]
