"""The partitioned tables, which Django cannot declare; how histograms are merged; and the fold's sixteen positions."""

import django.contrib.postgres.fields
from django.db import migrations, models

REQUESTS = """
CREATE TABLE analytics_requestlog (
    app_id bigint NOT NULL,
    at timestamptz NOT NULL,
    uuid uuid NOT NULL,
    environment_id bigint NOT NULL,
    endpoint_id bigint NOT NULL,
    consumer_id bigint,
    source smallint NOT NULL CHECK (source IN (1, 2)),
    status_code smallint NOT NULL CHECK (status_code BETWEEN 0 AND 999),
    url text NOT NULL,
    request_size_bytes bigint NOT NULL CHECK (request_size_bytes >= 0),
    response_size_bytes bigint NOT NULL CHECK (response_size_bytes >= 0),
    response_time_ms integer NOT NULL CHECK (response_time_ms >= 0),
    client_ip inet,
    country varchar(2) NOT NULL,
    PRIMARY KEY (app_id, at, uuid)
) PARTITION BY RANGE (at);
CREATE INDEX request_of_endpoint ON analytics_requestlog (app_id, endpoint_id, at, uuid);
CREATE INDEX request_of_consumer ON analytics_requestlog (app_id, consumer_id, at, uuid);
CREATE INDEX request_of_status ON analytics_requestlog (app_id, status_code, at, uuid);
CREATE INDEX request_by_uuid ON analytics_requestlog (app_id, uuid);

CREATE TABLE analytics_requestdetail (
    app_id bigint NOT NULL,
    at timestamptz NOT NULL,
    uuid uuid NOT NULL,
    request_headers jsonb NOT NULL,
    response_headers jsonb NOT NULL,
    request_body text,
    response_body text,
    exception_type text,
    exception_message text,
    exception_stacktrace text,
    sentry_event_id text,
    trace_id uuid,
    server_span_id varchar(16) NOT NULL,
    PRIMARY KEY (app_id, at, uuid)
) PARTITION BY RANGE (at);

CREATE TABLE analytics_span (
    app_id bigint NOT NULL,
    trace_id uuid NOT NULL,
    span_id varchar(16) NOT NULL,
    at timestamptz NOT NULL,
    parent_span_id varchar(16) NOT NULL,
    request_uuid uuid,
    name text NOT NULL,
    kind varchar(8) NOT NULL,
    start_ns bigint NOT NULL,
    end_ns bigint NOT NULL,
    status varchar(5) NOT NULL,
    attributes jsonb NOT NULL,
    PRIMARY KEY (app_id, trace_id, span_id, at)
) PARTITION BY RANGE (at);

CREATE TABLE analytics_applog (
    app_id bigint NOT NULL,
    trace_id uuid NOT NULL,
    at timestamptz NOT NULL,
    id uuid NOT NULL,
    server_span_id varchar(16) NOT NULL,
    request_uuid uuid,
    message text NOT NULL,
    level varchar(16) NOT NULL,
    logger text NOT NULL,
    file text NOT NULL,
    line integer,
    attributes jsonb NOT NULL,
    PRIMARY KEY (app_id, trace_id, at, id)
) PARTITION BY RANGE (at);
"""

TRAFFIC = """
CREATE SEQUENCE analytics_trafficminute_id;
CREATE TABLE analytics_trafficminute (
    app_id bigint NOT NULL,
    minute timestamptz NOT NULL,
    id bigint NOT NULL DEFAULT nextval('analytics_trafficminute_id'),
    environment_id bigint NOT NULL,
    endpoint_id bigint NOT NULL,
    status_code smallint NOT NULL,
    consumer_id bigint NOT NULL,
    source smallint NOT NULL CHECK (source IN (1, 2, 3)),
    requests bigint NOT NULL CHECK (requests >= 0),
    bytes_received bigint NOT NULL CHECK (bytes_received >= 0),
    bytes_sent bigint NOT NULL CHECK (bytes_sent >= 0),
    durations bigint[] NOT NULL,
    request_sizes bigint[] NOT NULL,
    response_sizes bigint[] NOT NULL,
    PRIMARY KEY (app_id, minute, id)
) PARTITION BY RANGE (minute);

CREATE TABLE analytics_trafficquarter (
    app_id bigint NOT NULL,
    quarter timestamptz NOT NULL CHECK (date_bin('15 minutes', quarter, 'epoch') = quarter),
    environment_id bigint NOT NULL,
    endpoint_id bigint NOT NULL,
    status_code smallint NOT NULL,
    consumer_id bigint NOT NULL,
    source smallint NOT NULL CHECK (source IN (1, 2, 3)),
    requests bigint NOT NULL CHECK (requests >= 0),
    bytes_received bigint NOT NULL CHECK (bytes_received >= 0),
    bytes_sent bigint NOT NULL CHECK (bytes_sent >= 0),
    durations bigint[] NOT NULL,
    PRIMARY KEY (app_id, quarter, environment_id, endpoint_id, status_code, consumer_id, source)
) PARTITION BY RANGE (quarter);
CREATE INDEX traffic_of_consumer ON analytics_trafficquarter (app_id, consumer_id, quarter);

CREATE TABLE analytics_trafficquartertotal (
    app_id bigint NOT NULL,
    quarter timestamptz NOT NULL CHECK (date_bin('15 minutes', quarter, 'epoch') = quarter),
    environment_id bigint NOT NULL,
    endpoint_id bigint NOT NULL,
    status_code smallint NOT NULL,
    source smallint NOT NULL CHECK (source IN (1, 2, 3)),
    requests bigint NOT NULL CHECK (requests >= 0),
    bytes_received bigint NOT NULL CHECK (bytes_received >= 0),
    bytes_sent bigint NOT NULL CHECK (bytes_sent >= 0),
    durations bigint[] NOT NULL,
    request_sizes bigint[] NOT NULL,
    response_sizes bigint[] NOT NULL,
    PRIMARY KEY (app_id, quarter, environment_id, endpoint_id, status_code, source)
) PARTITION BY RANGE (quarter);

CREATE TABLE analytics_resourceminute (
    app_id bigint NOT NULL,
    environment_id bigint NOT NULL,
    minute timestamptz NOT NULL,
    instance_id bigint NOT NULL,
    cpu_percent double precision,
    memory_bytes bigint,
    PRIMARY KEY (app_id, environment_id, minute, instance_id)
) PARTITION BY RANGE (minute);
"""

# A bucket is packed: (index + 1024) << 48 | count (analytics.histograms.pack). Merging adds the counts of an index.
MERGE = """
CREATE FUNCTION analytics_merge_histograms(one bigint[], other bigint[]) RETURNS bigint[]
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE WHEN one = '{}' THEN other WHEN other = '{}' THEN one ELSE (
        SELECT array_agg(bucket + count ORDER BY bucket)
          FROM (SELECT (packed >> 48) << 48 AS bucket, sum(packed & 281474976710655)::bigint AS count
                  FROM unnest(one || other) AS packed GROUP BY 1) AS merged) END
$$;
CREATE AGGREGATE analytics_sum_histograms(bigint[]) (
    SFUNC = analytics_merge_histograms, STYPE = bigint[], INITCOND = '{}'
);
"""
UNMERGE = """
DROP AGGREGATE analytics_sum_histograms(bigint[]);
DROP FUNCTION analytics_merge_histograms(bigint[], bigint[]);
"""
DROP_TRAFFIC = """
DROP TABLE analytics_trafficminute, analytics_trafficquarter, analytics_trafficquartertotal, analytics_resourceminute;
DROP SEQUENCE analytics_trafficminute_id;
"""
DROP_REQUESTS = "DROP TABLE analytics_requestlog, analytics_requestdetail, analytics_span, analytics_applog"


def add_positions(apps, schema_editor):
    positions = apps.get_model("analytics", "FoldPosition").objects
    for bucket in range(16):
        positions.get_or_create(bucket=bucket)


class Migration(migrations.Migration):
    dependencies = [("analytics", "0002_observations")]

    operations = [
        migrations.RunSQL(sql=MERGE, reverse_sql=UNMERGE),
        migrations.RunSQL(
            sql=REQUESTS,
            reverse_sql=DROP_REQUESTS,
            state_operations=[
                migrations.CreateModel(
                    name="AppLog",
                    fields=[
                        ("id", models.UUIDField(editable=False, primary_key=True, serialize=False)),
                        ("app_id", models.BigIntegerField()),
                        ("at", models.DateTimeField()),
                        (
                            "trace_id",
                            models.UUIDField(help_text="Of a hub's request without trace: the request's own."),
                        ),
                        (
                            "server_span_id",
                            models.CharField(
                                blank=True, help_text="Of which request of the trace it is.", max_length=16
                            ),
                        ),
                        ("request_uuid", models.UUIDField(null=True)),
                        ("message", models.TextField()),
                        ("level", models.CharField(blank=True, max_length=16)),
                        ("logger", models.TextField(blank=True)),
                        ("file", models.TextField(blank=True)),
                        ("line", models.IntegerField(null=True)),
                        ("attributes", models.JSONField(default=dict)),
                    ],
                ),
                migrations.CreateModel(
                    name="RequestDetail",
                    fields=[
                        ("uuid", models.UUIDField(editable=False, primary_key=True, serialize=False)),
                        ("app_id", models.BigIntegerField()),
                        ("at", models.DateTimeField()),
                        ("request_headers", models.JSONField(help_text="[[name, value], …]")),
                        ("response_headers", models.JSONField(help_text="[[name, value], …]")),
                        ("request_body", models.TextField(null=True)),
                        ("response_body", models.TextField(null=True)),
                        ("exception_type", models.TextField(null=True)),
                        ("exception_message", models.TextField(null=True)),
                        ("exception_stacktrace", models.TextField(null=True)),
                        ("sentry_event_id", models.TextField(null=True)),
                        ("trace_id", models.UUIDField(null=True)),
                        (
                            "server_span_id",
                            models.CharField(blank=True, help_text="Of a request that came as a span.", max_length=16),
                        ),
                    ],
                ),
                migrations.CreateModel(
                    name="RequestLog",
                    fields=[
                        ("uuid", models.UUIDField(editable=False, primary_key=True, serialize=False)),
                        ("app_id", models.BigIntegerField()),
                        ("at", models.DateTimeField()),
                        ("environment_id", models.BigIntegerField()),
                        ("endpoint_id", models.BigIntegerField()),
                        ("consumer_id", models.BigIntegerField(null=True)),
                        ("source", models.PositiveSmallIntegerField(choices=[(1, "decision"), (2, "report")])),
                        ("status_code", models.PositiveSmallIntegerField()),
                        ("url", models.TextField()),
                        ("request_size_bytes", models.BigIntegerField()),
                        ("response_size_bytes", models.BigIntegerField()),
                        ("response_time_ms", models.PositiveIntegerField()),
                        ("client_ip", models.GenericIPAddressField(null=True)),
                        (
                            "country",
                            models.CharField(blank=True, help_text="ISO code of the client's country.", max_length=2),
                        ),
                    ],
                    options={
                        "ordering": ["at", "uuid"],
                    },
                ),
                migrations.CreateModel(
                    name="Span",
                    fields=[
                        ("span_id", models.CharField(max_length=16, primary_key=True, serialize=False)),
                        ("app_id", models.BigIntegerField()),
                        ("at", models.DateTimeField(help_text="Its start.")),
                        ("trace_id", models.UUIDField()),
                        ("parent_span_id", models.CharField(blank=True, max_length=16)),
                        (
                            "request_uuid",
                            models.UUIDField(
                                help_text="Where the report itself said of which request it is.", null=True
                            ),
                        ),
                        ("name", models.TextField()),
                        ("kind", models.CharField(max_length=8)),
                        ("start_ns", models.BigIntegerField()),
                        ("end_ns", models.BigIntegerField()),
                        ("status", models.CharField(max_length=5)),
                        ("attributes", models.JSONField()),
                    ],
                ),
            ],
        ),
        migrations.RunSQL(
            sql=TRAFFIC,
            reverse_sql=DROP_TRAFFIC,
            state_operations=[
                migrations.CreateModel(
                    name="ResourceMinute",
                    fields=[
                        (
                            "pk",
                            models.CompositePrimaryKey(
                                "app_id",
                                "environment_id",
                                "minute",
                                "instance_id",
                                blank=True,
                                editable=False,
                                primary_key=True,
                                serialize=False,
                            ),
                        ),
                        ("app_id", models.BigIntegerField()),
                        ("environment_id", models.BigIntegerField()),
                        ("minute", models.DateTimeField()),
                        ("instance_id", models.BigIntegerField()),
                        ("cpu_percent", models.FloatField(null=True)),
                        ("memory_bytes", models.BigIntegerField(null=True)),
                    ],
                ),
                migrations.CreateModel(
                    name="TrafficMinute",
                    fields=[
                        ("app_id", models.BigIntegerField()),
                        ("environment_id", models.BigIntegerField()),
                        ("endpoint_id", models.BigIntegerField()),
                        ("status_code", models.PositiveSmallIntegerField()),
                        (
                            "source",
                            models.PositiveSmallIntegerField(choices=[(1, "decisions"), (2, "spans"), (3, "metrics")]),
                        ),
                        ("requests", models.BigIntegerField()),
                        ("bytes_received", models.BigIntegerField()),
                        ("bytes_sent", models.BigIntegerField()),
                        (
                            "durations",
                            django.contrib.postgres.fields.ArrayField(
                                base_field=models.BigIntegerField(), default=list, size=None
                            ),
                        ),
                        (
                            "pk",
                            models.CompositePrimaryKey(
                                "app_id", "minute", "id", blank=True, editable=False, primary_key=True, serialize=False
                            ),
                        ),
                        ("id", models.BigIntegerField()),
                        ("minute", models.DateTimeField()),
                        ("consumer_id", models.BigIntegerField()),
                        (
                            "request_sizes",
                            django.contrib.postgres.fields.ArrayField(
                                base_field=models.BigIntegerField(), default=list, size=None
                            ),
                        ),
                        (
                            "response_sizes",
                            django.contrib.postgres.fields.ArrayField(
                                base_field=models.BigIntegerField(), default=list, size=None
                            ),
                        ),
                    ],
                    options={
                        "abstract": False,
                    },
                ),
                migrations.CreateModel(
                    name="TrafficQuarter",
                    fields=[
                        ("app_id", models.BigIntegerField()),
                        ("environment_id", models.BigIntegerField()),
                        ("endpoint_id", models.BigIntegerField()),
                        ("status_code", models.PositiveSmallIntegerField()),
                        (
                            "source",
                            models.PositiveSmallIntegerField(choices=[(1, "decisions"), (2, "spans"), (3, "metrics")]),
                        ),
                        ("requests", models.BigIntegerField()),
                        ("bytes_received", models.BigIntegerField()),
                        ("bytes_sent", models.BigIntegerField()),
                        (
                            "durations",
                            django.contrib.postgres.fields.ArrayField(
                                base_field=models.BigIntegerField(), default=list, size=None
                            ),
                        ),
                        (
                            "pk",
                            models.CompositePrimaryKey(
                                "app_id",
                                "quarter",
                                "environment_id",
                                "endpoint_id",
                                "status_code",
                                "consumer_id",
                                "source",
                                blank=True,
                                editable=False,
                                primary_key=True,
                                serialize=False,
                            ),
                        ),
                        ("quarter", models.DateTimeField()),
                        ("consumer_id", models.BigIntegerField()),
                    ],
                    options={
                        "abstract": False,
                    },
                ),
                migrations.CreateModel(
                    name="TrafficQuarterTotal",
                    fields=[
                        ("app_id", models.BigIntegerField()),
                        ("environment_id", models.BigIntegerField()),
                        ("endpoint_id", models.BigIntegerField()),
                        ("status_code", models.PositiveSmallIntegerField()),
                        (
                            "source",
                            models.PositiveSmallIntegerField(choices=[(1, "decisions"), (2, "spans"), (3, "metrics")]),
                        ),
                        ("requests", models.BigIntegerField()),
                        ("bytes_received", models.BigIntegerField()),
                        ("bytes_sent", models.BigIntegerField()),
                        (
                            "durations",
                            django.contrib.postgres.fields.ArrayField(
                                base_field=models.BigIntegerField(), default=list, size=None
                            ),
                        ),
                        (
                            "pk",
                            models.CompositePrimaryKey(
                                "app_id",
                                "quarter",
                                "environment_id",
                                "endpoint_id",
                                "status_code",
                                "source",
                                blank=True,
                                editable=False,
                                primary_key=True,
                                serialize=False,
                            ),
                        ),
                        ("quarter", models.DateTimeField()),
                        (
                            "request_sizes",
                            django.contrib.postgres.fields.ArrayField(
                                base_field=models.BigIntegerField(), default=list, size=None
                            ),
                        ),
                        (
                            "response_sizes",
                            django.contrib.postgres.fields.ArrayField(
                                base_field=models.BigIntegerField(), default=list, size=None
                            ),
                        ),
                    ],
                    options={
                        "abstract": False,
                    },
                ),
            ],
        ),
        migrations.RunPython(add_positions, migrations.RunPython.noop),
    ]
