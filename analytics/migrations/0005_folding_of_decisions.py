"""What decisions are folded by: an account's default app, announced routes, overrides of paths; and bounds of statuses."""

import django.contrib.postgres.fields
import django.core.validators
import django.db.models.deletion
from django.db import migrations, models

BOUND = """
ALTER TABLE analytics_endpoint ADD CONSTRAINT endpoint_expected_statuses
    CHECK (100 <= ALL (expected_statuses) AND 599 >= ALL (expected_statuses))
"""
UNBOUND = "ALTER TABLE analytics_endpoint DROP CONSTRAINT endpoint_expected_statuses"


class Migration(migrations.Migration):
    dependencies = [("analytics", "0004_words_have_times")]

    operations = [
        migrations.AddField(
            model_name="app",
            name="is_default",
            field=models.BooleanField(
                db_default=False,
                default=False,
                editable=False,
                help_text="Where decisions are filed of access keys that are bound to no app.",
                verbose_name="default",
            ),
        ),
        migrations.AddConstraint(
            model_name="app",
            constraint=models.UniqueConstraint(
                condition=models.Q(("is_default", True)), fields=("account",), name="app_default_unique"
            ),
        ),
        migrations.AddField(
            model_name="endpoint",
            name="is_announced",
            field=models.BooleanField(
                db_default=False,
                default=False,
                editable=False,
                help_text="The app named it among its routes: raw paths that match it are folded into it.",
                verbose_name="announced",
            ),
        ),
        migrations.AlterField(
            model_name="endpoint",
            name="expected_statuses",
            field=django.contrib.postgres.fields.ArrayField(
                base_field=models.PositiveSmallIntegerField(
                    validators=[
                        django.core.validators.MinValueValidator(100),
                        django.core.validators.MaxValueValidator(599),
                    ]
                ),
                blank=True,
                default=list,
                help_text="Statuses that are no errors here: 404, 422.",
                size=None,
            ),
        ),
        migrations.RunSQL(BOUND, UNBOUND),
        migrations.CreateModel(
            name="PathOverride",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "template",
                    models.CharField(
                        help_text="Segment by segment: {x}, :x and <x> stand for any one that is not empty.",
                        max_length=1024,
                        validators=[
                            django.core.validators.RegexValidator(
                                "^[^?#\\s]+$", "Give a path without blanks, query and fragment."
                            )
                        ],
                    ),
                ),
                (
                    "is_active",
                    models.BooleanField(
                        default=True,
                        help_text="Off: paths fold again as if it were not there.",
                        verbose_name="active",
                    ),
                ),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                (
                    "app",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="path_overrides",
                        to="analytics.app",
                    ),
                ),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(fields=("app", "template"), name="path_override_unique")
                ],
            },
        ),
    ]
