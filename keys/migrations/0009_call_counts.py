"""Calls by minute and quarter hour without naming keys, and who is near a limit; what was decided before is counted."""

import django.db.models.deletion
from django.db import migrations, models

COUNT_DECISIONS = """
INSERT INTO keys_callcount (account_id, grain, start, bucket, calls_allowed, calls_denied)
SELECT coalesce(d.account_id, 0), 15, date_bin('15 minutes', d.at, 'epoch'), a.bucket,
       count(*) FILTER (WHERE d.outcome = 1), count(*) FILTER (WHERE d.outcome <> 1)
  FROM keys_decision AS d JOIN accounts_account AS a ON a.id = d.account_id
 GROUP BY GROUPING SETS ((d.account_id, a.bucket, 3), (a.bucket, 3))
"""
# Of hours whose decisions are no longer kept, no more is known than the hour: they stand in its first quarter.
COUNT_HOURS = """
INSERT INTO keys_callcount (account_id, grain, start, bucket, calls_allowed, calls_denied)
SELECT coalesce(h.account_id, 0), 15, h.hour, a.bucket, sum(h.calls_allowed), sum(h.calls_denied)
  FROM keys_usagehour AS h JOIN accounts_account AS a ON a.id = h.account_id
 WHERE h.hour < coalesce((SELECT date_trunc('day', min(at), 'UTC') FROM keys_decision), 'infinity')
 GROUP BY GROUPING SETS ((h.account_id, a.bucket, h.hour), (a.bucket, h.hour))
"""
SUBJECT_KINDS = [
    ("k", "key with a plan of its own"),
    ("u", "user on a plan"),
    ("fk", "key without plan and user"),
    ("fu", "user without plan"),
]


class Migration(migrations.Migration):
    dependencies = [("accounts", "0007_access_key_account_id"), ("keys", "0008_adjustments")]

    operations = [
        migrations.CreateModel(
            name="CallCount",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("account_id", models.BigIntegerField()),
                ("grain", models.PositiveSmallIntegerField(choices=[(1, "minute"), (15, "quarter hour")])),
                ("start", models.DateTimeField()),
                ("bucket", models.PositiveSmallIntegerField()),
                ("calls_allowed", models.BigIntegerField()),
                ("calls_denied", models.BigIntegerField()),
            ],
        ),
        migrations.CreateModel(
            name="LimitWatch",
            fields=[
                (
                    "account",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.PROTECT,
                        primary_key=True,
                        related_name="+",
                        serialize=False,
                        to="accounts.account",
                    ),
                ),
                ("looked_at", models.DateTimeField()),
                ("near", models.PositiveIntegerField(help_text="Those over it included.")),
                ("over", models.PositiveIntegerField()),
            ],
        ),
        migrations.CreateModel(
            name="NearLimit",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "account",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="accounts.account",
                    ),
                ),
                ("subject_kind", models.CharField(choices=SUBJECT_KINDS, max_length=2)),
                ("subject_id", models.BigIntegerField()),
                ("window_end", models.DateTimeField()),
                ("used", models.BigIntegerField()),
                ("limit", models.BigIntegerField()),
                ("percent", models.BigIntegerField()),
            ],
        ),
        migrations.AddIndex(
            model_name="apikey",
            index=models.Index(
                condition=models.Q(("deleted_at", None), ("expires_at__isnull", False), ("status", "active")),
                fields=["expires_at", "account"],
                name="api_key_expiring",
            ),
        ),
        migrations.AddIndex(
            model_name="callcount",
            index=models.Index(
                condition=models.Q(("grain", 1)), fields=["start"], name="call_count_oldest_minute"
            ),
        ),
        migrations.AddConstraint(
            model_name="callcount",
            constraint=models.UniqueConstraint(
                fields=("account_id", "grain", "start", "bucket"), name="call_count_unique"
            ),
        ),
        migrations.AddIndex(
            model_name="nearlimit",
            index=models.Index(fields=["account", "-percent"], name="near_limit_of_account"),
        ),
        migrations.AddIndex(
            model_name="nearlimit", index=models.Index(fields=["-percent"], name="near_limit_most")
        ),
        migrations.AddConstraint(
            model_name="nearlimit",
            constraint=models.UniqueConstraint(
                fields=("account", "subject_kind", "subject_id"), name="near_limit_unique"
            ),
        ),
        migrations.RunSQL([COUNT_DECISIONS, COUNT_HOURS], migrations.RunSQL.noop),
    ]
