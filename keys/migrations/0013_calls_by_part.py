"""Calls by quarter hour are also known by access key and by plan; what was decided before is counted."""

from django.db import migrations, models

# Of decisions that are kept. What came before is known by plan alone, and by the hour: it stands in the first quarter.
COUNT_DECISIONS = """
INSERT INTO keys_callcount (account_id, access_key_id, plan_id, grain, start, bucket, calls_allowed, calls_denied)
SELECT d.account_id, coalesce(d.access_key_id, 0), coalesce(d.plan_id, 0), 15, date_bin('15 minutes', d.at, 'epoch'),
       a.bucket, count(*) FILTER (WHERE d.outcome = 1), count(*) FILTER (WHERE d.outcome <> 1)
  FROM keys_decision AS d JOIN accounts_account AS a ON a.id = d.account_id
 GROUP BY GROUPING SETS ((d.account_id, d.access_key_id, a.bucket, 5), (d.account_id, d.plan_id, a.bucket, 5))
HAVING d.access_key_id <> 0 OR d.plan_id <> 0
"""
COUNT_HOURS = """
INSERT INTO keys_callcount (account_id, access_key_id, plan_id, grain, start, bucket, calls_allowed, calls_denied)
SELECT h.account_id, 0, h.plan_id, 15, h.hour, a.bucket, sum(h.calls_allowed), sum(h.calls_denied)
  FROM keys_usagehour AS h JOIN accounts_account AS a ON a.id = h.account_id
 WHERE h.plan_id <> 0
   AND h.hour < coalesce((SELECT date_trunc('day', min(at), 'UTC') FROM keys_decision), 'infinity')
 GROUP BY h.account_id, h.plan_id, h.hour, a.bucket
"""
UNCOUNT = "DELETE FROM keys_callcount WHERE access_key_id <> 0 OR plan_id <> 0"


class Migration(migrations.Migration):
    dependencies = [("keys", "0012_rare_denials")]

    operations = [
        migrations.AddField("callcount", "access_key_id", models.BigIntegerField(db_default=0, default=0)),
        migrations.AddField("callcount", "plan_id", models.BigIntegerField(db_default=0, default=0)),
        migrations.RemoveConstraint(model_name="callcount", name="call_count_unique"),
        migrations.AddConstraint(
            model_name="callcount",
            constraint=models.UniqueConstraint(
                fields=["account_id", "access_key_id", "plan_id", "grain", "start", "bucket"], name="call_count_of_part"
            ),
        ),
        migrations.RunSQL(COUNT_DECISIONS, UNCOUNT),
        migrations.RunSQL(COUNT_HOURS, migrations.RunSQL.noop),
    ]
