"""An environment's sums know how its requests ended and how long they took: pictures of all endpoints read these alone."""

import django.contrib.postgres.fields
from django.db import migrations, models

# A count that hostile reports drive beyond its 48 bits stays at its highest value.
MERGE = """
CREATE OR REPLACE FUNCTION analytics_merge_histograms(one bigint[], other bigint[]) RETURNS bigint[]
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE WHEN one = '{}' THEN other WHEN other = '{}' THEN one ELSE (
        SELECT array_agg(bucket + count ORDER BY bucket)
          FROM (SELECT (packed >> 48) << 48 AS bucket,
                       least(sum(packed & 281474976710655), 281474976710655)::bigint AS count
                  FROM unnest(one || other) AS packed GROUP BY 1) AS merged) END
$$;
"""
CREATE = """
DROP TABLE analytics_environmentquarter;
CREATE TABLE analytics_environmentquarter (
    app_id bigint NOT NULL,
    quarter timestamptz NOT NULL CHECK (date_bin('15 minutes', quarter, 'epoch') = quarter),
    environment_id bigint NOT NULL,
    status_class smallint NOT NULL CHECK (status_class BETWEEN 0 AND 9),
    source smallint NOT NULL CHECK (source IN (1, 2, 3)),
    requests bigint NOT NULL CHECK (requests >= 0),
    bytes_received bigint NOT NULL CHECK (bytes_received >= 0),
    bytes_sent bigint NOT NULL CHECK (bytes_sent >= 0),
    durations bigint[] NOT NULL,
    PRIMARY KEY (app_id, quarter, environment_id, status_class, source)
) PARTITION BY RANGE (quarter);
"""
# The months that the totals have, which bear these sums.
PARTITIONS = """
DO $$
DECLARE month record;
BEGIN
    FOR month IN
        SELECT 'analytics_environmentquarter' || substring(c.relname FROM '_[0-9]+$') AS name,
               pg_get_expr(c.relpartbound, c.oid) AS bounds
          FROM pg_inherits AS i JOIN pg_class AS c ON c.oid = i.inhrelid
         WHERE i.inhparent = 'analytics_trafficquartertotal'::regclass
    LOOP
        EXECUTE format('CREATE TABLE %I PARTITION OF analytics_environmentquarter %s', month.name, month.bounds);
    END LOOP;
END $$;
"""
FILL = """
INSERT INTO analytics_environmentquarter
SELECT app_id, quarter, environment_id, status_code / 100, source, least(sum(requests), 9223372036854775807)::bigint,
       least(sum(bytes_received), 9223372036854775807)::bigint, least(sum(bytes_sent), 9223372036854775807)::bigint,
       analytics_sum_histograms(durations)
  FROM analytics_trafficquartertotal GROUP BY 1, 2, 3, 4, 5
"""
CREATE_PLAIN = """
DROP TABLE analytics_environmentquarter;
CREATE TABLE analytics_environmentquarter (
    app_id bigint NOT NULL,
    quarter timestamptz NOT NULL CHECK (date_bin('15 minutes', quarter, 'epoch') = quarter),
    environment_id bigint NOT NULL,
    source smallint NOT NULL CHECK (source IN (1, 2, 3)),
    requests bigint NOT NULL CHECK (requests >= 0),
    bytes_received bigint NOT NULL CHECK (bytes_received >= 0),
    bytes_sent bigint NOT NULL CHECK (bytes_sent >= 0),
    PRIMARY KEY (app_id, quarter, environment_id, source)
) PARTITION BY RANGE (quarter);
"""
FILL_PLAIN = """
INSERT INTO analytics_environmentquarter
SELECT app_id, quarter, environment_id, source, least(sum(requests), 9223372036854775807)::bigint,
       least(sum(bytes_received), 9223372036854775807)::bigint, least(sum(bytes_sent), 9223372036854775807)::bigint
  FROM analytics_trafficquartertotal GROUP BY 1, 2, 3, 4
"""


class Migration(migrations.Migration):
    dependencies = [("analytics", "0010_requests_by_environment")]

    operations = [
        migrations.RunSQL(MERGE, migrations.RunSQL.noop),
        migrations.RunSQL(
            sql=[CREATE, PARTITIONS, FILL],
            reverse_sql=[CREATE_PLAIN, PARTITIONS, FILL_PLAIN],
            state_operations=[
                migrations.DeleteModel(name="EnvironmentQuarter"),
                migrations.CreateModel(
                    name="EnvironmentQuarter",
                    fields=[
                        (
                            "pk",
                            models.CompositePrimaryKey(
                                "app_id",
                                "quarter",
                                "environment_id",
                                "status_class",
                                "source",
                                blank=True,
                                editable=False,
                                primary_key=True,
                                serialize=False,
                            ),
                        ),
                        ("app_id", models.BigIntegerField()),
                        ("quarter", models.DateTimeField()),
                        ("environment_id", models.BigIntegerField()),
                        ("status_class", models.PositiveSmallIntegerField()),
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
                    ],
                ),
            ],
        ),
    ]
