"""Reckoning windows and hours anew from the decisions and adjustments that bear them."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from django.db import connection, transaction

from accounts.secrets import BUCKETS, Bucket
from keys.events import StreamId, from_ms
from keys.ledger.calls import MINUTES_KEPT, rebuild_calls
from keys.ledger.checking import OF_BUCKET, SUMS, WINDOWS_RECKONED
from keys.models import StreamPosition
from keys.partitions import DECISIONS, Span

CLEAR = """
UPDATE {table} SET units_allowed = 0, units_adjusted = 0, calls_allowed = 0, calls_denied = 0
 WHERE {since} >= %(since)s AND {of_bucket}
"""
SET = """DO UPDATE SET units_allowed = excluded.units_allowed, units_adjusted = excluded.units_adjusted,
                      calls_allowed = excluded.calls_allowed, calls_denied = excluded.calls_denied"""
WINDOWS = f"""
INSERT INTO keys_usagewindow (account_id, subject_kind, subject_id, key_id, start, "end",
                              units_allowed, units_adjusted, calls_allowed, calls_denied)
{WINDOWS_RECKONED}
ON CONFLICT (account_id, subject_kind, subject_id, "end", start, key_id) {SET}
"""
HOURS = f"""
INSERT INTO keys_usagehour (account_id, key_id, user_id, plan_id, hour,
                            units_allowed, calls_allowed, calls_denied, units_adjusted)
SELECT account_id, api_key_id, coalesce(user_id, 0), coalesce(plan_id, 0), date_trunc('hour', at, 'UTC'),
       {SUMS}, 0
  FROM keys_decision WHERE at >= %(since)s AND {OF_BUCKET} GROUP BY 1, 2, 3, 4, 5
ON CONFLICT (account_id, key_id, hour, user_id, plan_id) {SET}
"""  # noqa: S608  # constants alone
COUNT = """
SELECT count(*) FILTER (WHERE {since} >= %(since)s), count(*) FILTER (WHERE {since} < %(since)s)
  FROM {table} WHERE {of_bucket}
"""
TABLES = {"keys_usagewindow": ("start", WINDOWS), "keys_usagehour": ("hour", HOURS)}


@dataclass(slots=True)
class Rebuilt:
    """Rows reckoned anew, and those left as they were because their decisions are no longer kept."""

    rebuilt: int = 0
    left: int = 0


def rebuild_bucket(bucket: Bucket) -> Rebuilt:
    """Windows, hours and calls that lie wholly in the kept decisions. Drains of the bucket wait."""
    since = DECISIONS.kept_since()
    result = Rebuilt()
    if since is None:
        return result
    with transaction.atomic():
        position = StreamPosition.objects.select_for_update().get(bucket=bucket)
        for table, (column, insert) in TABLES.items():
            _rebuild(table, column, insert, since, bucket, result)
        newest = from_ms(StreamId.parse(position.last_id).ms)
        with connection.cursor() as cursor:
            minutes_since = Span.DAY.start_of(newest) - MINUTES_KEPT
            rebuild_calls(cursor, bucket, since=since, minutes_since=minutes_since)
    return result


def all_buckets() -> Iterable[Bucket]:
    return (Bucket(number) for number in range(BUCKETS))


def _rebuild(table: str, column: str, insert: str, since: datetime, bucket: Bucket, result: Rebuilt) -> None:
    given: dict[str, datetime | int] = {"since": since, "bucket": bucket}
    named = {"table": table, "since": column, "of_bucket": OF_BUCKET}
    with connection.cursor() as cursor:
        cursor.execute(CLEAR.format(**named), given)
        cursor.execute(insert, given)
        cursor.execute(COUNT.format(**named), given)
        rebuilt, left = cursor.fetchone()
    result.rebuilt += rebuilt
    result.left += left
