"""The table of decisions, partitioned by day, which Django cannot declare; and the ledger's sixteen positions."""

from django.db import migrations, models

CREATE = """
CREATE TABLE keys_decision (
    id uuid NOT NULL,
    at timestamptz NOT NULL,
    account_id bigint NOT NULL,
    access_key_id bigint NOT NULL,
    api_key_id bigint NOT NULL,
    user_id bigint,
    plan_id bigint,
    subject_kind varchar(2) NOT NULL,
    subject_id bigint,
    window_start timestamptz,
    window_end timestamptz,
    outcome smallint NOT NULL CHECK (outcome BETWEEN 1 AND 5),
    cost integer NOT NULL CHECK (cost >= 0),
    method varchar(16) NOT NULL,
    endpoint varchar(2048) NOT NULL,
    ip inet,
    CONSTRAINT decision_spent_whole CHECK (
        (subject_kind = '') = (subject_id IS NULL)
        AND (subject_id IS NULL) = (window_start IS NULL) AND (window_start IS NULL) = (window_end IS NULL)),
    PRIMARY KEY (account_id, at, id)
) PARTITION BY RANGE (at);
CREATE INDEX decision_of_key ON keys_decision (account_id, api_key_id, at, id);
CREATE INDEX decision_of_user ON keys_decision (account_id, user_id, at, id);
"""


def add_positions(apps, schema_editor):
    positions = apps.get_model("keys", "StreamPosition").objects
    for bucket in range(16):
        positions.get_or_create(bucket=bucket)


class Migration(migrations.Migration):
    dependencies = [("keys", "0001_initial")]

    operations = [
        migrations.RunSQL(
            sql=CREATE,
            reverse_sql="DROP TABLE keys_decision",
            state_operations=[
                migrations.CreateModel(
                    name="Decision",
                    fields=[
                        ("id", models.UUIDField(editable=False, primary_key=True, serialize=False)),
                        ("at", models.DateTimeField()),
                        ("account_id", models.BigIntegerField()),
                        ("access_key_id", models.BigIntegerField()),
                        ("api_key_id", models.BigIntegerField()),
                        ("user_id", models.BigIntegerField(null=True)),
                        ("plan_id", models.BigIntegerField(null=True)),
                        (
                            "subject_kind",
                            models.CharField(
                                blank=True,
                                choices=[
                                    ("k", "key with a plan of its own"),
                                    ("u", "user on a plan"),
                                    ("fk", "key without plan and user"),
                                    ("fu", "user without plan"),
                                ],
                                default="",
                                max_length=2,
                            ),
                        ),
                        ("subject_id", models.BigIntegerField(null=True)),
                        ("window_start", models.DateTimeField(null=True)),
                        ("window_end", models.DateTimeField(null=True)),
                        (
                            "outcome",
                            models.PositiveSmallIntegerField(
                                choices=[
                                    (1, "allowed"),
                                    (2, "over_quota"),
                                    (3, "key_disabled"),
                                    (4, "key_expired"),
                                    (5, "user_disabled"),
                                ]
                            ),
                        ),
                        ("cost", models.PositiveIntegerField()),
                        ("method", models.CharField(max_length=16)),
                        ("endpoint", models.CharField(max_length=2048)),
                        ("ip", models.GenericIPAddressField(null=True)),
                    ],
                    options={
                        "ordering": ["-at", "-id"],
                    },
                ),
            ],
        ),
        migrations.RunPython(add_positions, migrations.RunPython.noop),
    ]
