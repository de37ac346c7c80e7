"""Who reports, what came in, what it adds up to; what is partitioned comes in the next migration."""

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("analytics", "0001_apps")]

    operations = [
        migrations.CreateModel(
            name="SourceQuarter",
            fields=[
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "environment_id",
                        "record",
                        "quarter",
                        "source",
                        blank=True,
                        editable=False,
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                ("environment_id", models.BigIntegerField()),
                ("record", models.PositiveSmallIntegerField(choices=[(1, "traffic"), (2, "request logs")])),
                ("quarter", models.DateTimeField()),
                ("source", models.PositiveSmallIntegerField(choices=[(1, "decisions"), (2, "spans"), (3, "metrics")])),
                ("has_requests", models.BooleanField()),
            ],
        ),
        migrations.AddField(
            model_name="consumer",
            name="attributes",
            field=models.JSONField(blank=True, default=dict),
        ),
        migrations.AddField(
            model_name="consumer",
            name="first_request_at",
            field=models.DateTimeField(blank=True, editable=False, null=True),
        ),
        migrations.AddField(
            model_name="consumer",
            name="told_at",
            field=models.JSONField(
                default=dict,
                editable=False,
                help_text="Of each field, when it was told last: an older word changes nothing.",
            ),
        ),
        migrations.AddField(
            model_name="endpoint",
            name="description",
            field=models.TextField(blank=True, default=""),
        ),
        migrations.AddField(
            model_name="endpoint",
            name="summary",
            field=models.CharField(blank=True, default="", max_length=256),
        ),
        migrations.AddField(
            model_name="environment",
            name="pinned_source",
            field=models.PositiveSmallIntegerField(
                blank=True,
                choices=[(1, "decisions"), (2, "spans"), (3, "metrics")],
                help_text="Traffic is shown from this source, whatever reports come; empty = judged from what was told.",
                null=True,
            ),
        ),
        migrations.CreateModel(
            name="ErrorGroup",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("kind", models.PositiveSmallIntegerField(choices=[(1, "validation"), (2, "server")])),
                ("fingerprint", models.BinaryField(max_length=32)),
                ("type", models.CharField(blank=True, max_length=256)),
                ("message", models.TextField(blank=True)),
                (
                    "location",
                    models.CharField(blank=True, help_text="Of a field that was not valid: body.qty.", max_length=256),
                ),
                ("stacktrace", models.TextField(blank=True)),
                ("sentry_event_id", models.CharField(blank=True, max_length=64)),
                ("occurrences", models.BigIntegerField()),
                ("first_seen_at", models.DateTimeField()),
                ("last_seen_at", models.DateTimeField()),
                (
                    "app",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="error_groups",
                        to="analytics.app",
                    ),
                ),
                (
                    "endpoint",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="error_groups",
                        to="analytics.endpoint",
                    ),
                ),
                (
                    "environment",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="error_groups",
                        to="analytics.environment",
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="ErrorQuarter",
            fields=[
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "group_id",
                        "quarter",
                        "consumer_id",
                        blank=True,
                        editable=False,
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                ("quarter", models.DateTimeField()),
                ("consumer_id", models.BigIntegerField()),
                ("occurrences", models.BigIntegerField()),
                (
                    "group",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="quarters",
                        to="analytics.errorgroup",
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="FoldPosition",
            fields=[
                ("bucket", models.PositiveSmallIntegerField(primary_key=True, serialize=False)),
                ("ms", models.BigIntegerField(default=0)),
                ("seq", models.BigIntegerField(default=0)),
            ],
            options={
                "constraints": [
                    models.CheckConstraint(condition=models.Q(("bucket__lt", 16)), name="fold_position_bucket")
                ],
            },
        ),
        migrations.CreateModel(
            name="InboxReport",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "kind",
                    models.PositiveSmallIntegerField(
                        choices=[
                            (1, "hub startup"),
                            (2, "hub sync"),
                            (3, "hub log"),
                            (4, "hub logpush"),
                            (5, "OTLP traces"),
                            (6, "OTLP logs"),
                            (7, "OTLP metrics"),
                        ]
                    ),
                ),
                (
                    "environment",
                    models.CharField(
                        blank=True, help_text="As the URL or the Apitally-Env header said.", max_length=256
                    ),
                ),
                ("message_id", models.CharField(blank=True, help_text="The file's uuid of a hub log.", max_length=64)),
                ("is_json", models.BooleanField(default=False, help_text="OTLP in JSON rather than protobuf.")),
                ("attempts", models.PositiveSmallIntegerField(db_default=0, default=0)),
                ("received_at", models.DateTimeField()),
                ("body", models.BinaryField()),
                (
                    "app",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="analytics.app",
                    ),
                ),
            ],
            options={
                "verbose_name": "report in the inbox",
                "verbose_name_plural": "inbox",
            },
        ),
        migrations.CreateModel(
            name="Instance",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("identifier", models.CharField(max_length=128)),
                (
                    "client",
                    models.CharField(blank=True, help_text="The SDK and framework, as it names itself.", max_length=64),
                ),
                ("versions", models.JSONField(blank=True, default=dict)),
                (
                    "metric_scope",
                    models.CharField(
                        blank=True, editable=False, help_text="The one OTLP scope that is counted.", max_length=128
                    ),
                ),
                ("started_at", models.DateTimeField(editable=False, null=True)),
                ("last_seen_at", models.DateTimeField(editable=False, null=True)),
                (
                    "environment",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="instances",
                        to="analytics.environment",
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="RejectedReport",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "kind",
                    models.PositiveSmallIntegerField(
                        choices=[
                            (1, "hub startup"),
                            (2, "hub sync"),
                            (3, "hub log"),
                            (4, "hub logpush"),
                            (5, "OTLP traces"),
                            (6, "OTLP logs"),
                            (7, "OTLP metrics"),
                        ]
                    ),
                ),
                ("environment", models.CharField(blank=True, max_length=256)),
                (
                    "reason",
                    models.CharField(help_text="A word that does not change: bad_gzip, too_late …", max_length=32),
                ),
                ("explanation", models.CharField(blank=True, max_length=1000)),
                ("size_bytes", models.PositiveIntegerField()),
                ("body", models.BinaryField(help_text="Its first 64 KiB.", max_length=65536)),
                ("received_at", models.DateTimeField()),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                (
                    "app",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="rejected_reports", to="analytics.app"
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="ReportIdentity",
            fields=[
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "app_id", "identity", blank=True, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("app_id", models.BigIntegerField()),
                ("identity", models.BinaryField(max_length=32)),
                ("counted_at", models.DateTimeField()),
            ],
            options={
                "indexes": [models.Index(fields=["counted_at"], name="report_identity_oldest")],
            },
        ),
        migrations.CreateModel(
            name="TrafficSource",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("record", models.PositiveSmallIntegerField(choices=[(1, "traffic"), (2, "request logs")])),
                ("source", models.PositiveSmallIntegerField(choices=[(1, "decisions"), (2, "spans"), (3, "metrics")])),
                ("since", models.DateTimeField()),
                (
                    "environment",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="sources",
                        to="analytics.environment",
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="CumulativeStream",
            fields=[
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "app_id", "stream", blank=True, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("app_id", models.BigIntegerField()),
                (
                    "stream",
                    models.BinaryField(help_text="Digest of what makes the stream, its start included.", max_length=32),
                ),
                ("time_ns", models.BigIntegerField()),
                ("count", models.BigIntegerField()),
                ("sum", models.FloatField()),
                (
                    "histogram",
                    models.BinaryField(help_text="The buckets as they were reported, for the next difference."),
                ),
                (
                    "environment",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="analytics.environment",
                    ),
                ),
            ],
            options={
                "indexes": [models.Index(fields=["time_ns"], name="cumulative_stream_oldest")],
            },
        ),
        migrations.CreateModel(
            name="DroppedItems",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "kind",
                    models.PositiveSmallIntegerField(
                        choices=[
                            (1, "hub startup"),
                            (2, "hub sync"),
                            (3, "hub log"),
                            (4, "hub logpush"),
                            (5, "OTLP traces"),
                            (6, "OTLP logs"),
                            (7, "OTLP metrics"),
                        ]
                    ),
                ),
                ("reason", models.CharField(max_length=32)),
                ("hour", models.DateTimeField()),
                ("items", models.BigIntegerField()),
                (
                    "app",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="dropped_items", to="analytics.app"
                    ),
                ),
            ],
            options={
                "verbose_name_plural": "dropped items",
                "constraints": [
                    models.UniqueConstraint(fields=("app", "hour", "kind", "reason"), name="dropped_items_unique")
                ],
            },
        ),
        migrations.AddIndex(
            model_name="errorgroup",
            index=models.Index(fields=["app", "kind", "-last_seen_at"], name="error_group_latest"),
        ),
        migrations.AddConstraint(
            model_name="errorgroup",
            constraint=models.UniqueConstraint(
                fields=("app", "environment", "endpoint", "kind", "fingerprint"), name="error_group_unique"
            ),
        ),
        migrations.AddIndex(
            model_name="errorquarter",
            index=models.Index(fields=["quarter"], name="error_quarter_oldest"),
        ),
        migrations.AddIndex(
            model_name="inboxreport",
            index=models.Index(fields=["app", "id"], name="inbox_of_app"),
        ),
        migrations.AddIndex(
            model_name="inboxreport",
            index=models.Index(fields=["received_at"], name="inbox_oldest"),
        ),
        migrations.AddIndex(
            model_name="instance",
            index=models.Index(fields=["environment", "-last_seen_at"], name="instance_latest"),
        ),
        migrations.AddConstraint(
            model_name="instance",
            constraint=models.UniqueConstraint(fields=("environment", "identifier"), name="instance_unique"),
        ),
        migrations.AddIndex(
            model_name="rejectedreport",
            index=models.Index(fields=["app", "-id"], name="rejected_of_app"),
        ),
        migrations.AddIndex(
            model_name="rejectedreport",
            index=models.Index(fields=["created_at"], name="rejected_oldest"),
        ),
        migrations.AddConstraint(
            model_name="trafficsource",
            constraint=models.UniqueConstraint(fields=("environment", "record", "since"), name="traffic_source_unique"),
        ),
    ]
