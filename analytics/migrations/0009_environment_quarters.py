"""What each environment adds up to in a quarter hour: traffic that asks for nothing else reads a fiftieth of the rows."""

from django.db import migrations, models

CREATE = """
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
SELECT app_id, quarter, environment_id, source, least(sum(requests), 9223372036854775807)::bigint,
       least(sum(bytes_received), 9223372036854775807)::bigint, least(sum(bytes_sent), 9223372036854775807)::bigint
  FROM analytics_trafficquartertotal GROUP BY 1, 2, 3, 4
"""
DROP = "DROP TABLE analytics_environmentquarter"


class Migration(migrations.Migration):
    dependencies = [("analytics", "0008_find_apps")]

    operations = [
        migrations.RunSQL(
            sql=[CREATE, PARTITIONS, FILL],
            reverse_sql=DROP,
            state_operations=[
                migrations.CreateModel(
                    name="EnvironmentQuarter",
                    fields=[
                        (
                            "pk",
                            models.CompositePrimaryKey(
                                "app_id",
                                "quarter",
                                "environment_id",
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
                        (
                            "source",
                            models.PositiveSmallIntegerField(choices=[(1, "decisions"), (2, "spans"), (3, "metrics")]),
                        ),
                        ("requests", models.BigIntegerField()),
                        ("bytes_received", models.BigIntegerField()),
                        ("bytes_sent", models.BigIntegerField()),
                    ],
                ),
            ],
        ),
    ]
