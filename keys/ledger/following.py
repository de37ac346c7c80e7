"""Reading the ledger on, bucket by bucket in the order of its stream: for those who remember how far they came.

A drain commits a bucket's decisions together with its position, one drain at a time: what is read after the position
was read lies whole before it, and nothing will ever be filed there later (DESIGN 5a, "Why ids never fall behind").
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.db import connection
from django.db.models import Sum

from accounts.models import Account
from accounts.secrets import Bucket
from keys.events import StreamId, decision_id, from_ms
from keys.models import Decision, StreamPosition, UsageHour
from keys.partitions import DECISIONS

# The bucket stands in the id's seventh byte (keys.events.decision_id); the index decision_of_bucket has this order.
# By `at` PostgreSQL knows which days need not be looked at.
BETWEEN = """
SELECT * FROM keys_decision
 WHERE (get_byte(uuid_send(id), 6) & 15) = %(bucket)s AND id > %(after)s AND id <= %(until)s
   AND at >= %(since)s AND at <= %(last)s
 ORDER BY id LIMIT %(limit)s
"""
# Of each bucket the first of those between; one look into the index for each.
OLDEST = """
SELECT min(first.at)
  FROM unnest(%(buckets)s::int[], %(after)s::uuid[], %(until)s::uuid[],
              %(since)s::timestamptz[], %(last)s::timestamptz[])
       AS b (bucket, after, until, since, last)
 CROSS JOIN LATERAL (
       SELECT at FROM keys_decision AS d
        WHERE (get_byte(uuid_send(d.id), 6) & 15) = b.bucket AND d.id > b.after AND d.id <= b.until
          AND d.at >= b.since AND d.at <= b.last
        ORDER BY d.id LIMIT 1) AS first
"""
COUNT = """
SELECT coalesce(sum(counted.decisions), 0)::bigint
  FROM unnest(%(buckets)s::int[], %(after)s::uuid[], %(until)s::uuid[],
              %(since)s::timestamptz[], %(last)s::timestamptz[])
       AS b (bucket, after, until, since, last)
 CROSS JOIN LATERAL (
       SELECT count(*) AS decisions FROM keys_decision AS d
        WHERE (get_byte(uuid_send(d.id), 6) & 15) = b.bucket AND d.id > b.after AND d.id <= b.until
          AND d.at >= b.since AND d.at <= b.last) AS counted
"""
Places = Mapping[Bucket, tuple[StreamId, StreamId]]


def filed_until() -> dict[Bucket, StreamId]:
    """Of each bucket the last event that is in the ledger."""
    rows = StreamPosition.objects.values_list("bucket", "last_id")
    return {Bucket(bucket): StreamId.parse(last_id) for bucket, last_id in rows}


def decisions_between(bucket: Bucket, after: StreamId, until: StreamId, *, at_most: int) -> list[Decision]:
    """The first of those beyond `after`, up to and with `until`, in the stream's order. One SELECT."""
    given = {
        "bucket": bucket,
        "after": decision_id(bucket, after),
        "until": decision_id(bucket, until),
        "since": from_ms(after.ms),
        "last": from_ms(until.ms),
        "limit": at_most,
    }
    return list(Decision.objects.raw(BETWEEN, given))


def oldest_beyond(places: Places) -> datetime | None:
    """When the first decision was made that lies beyond a bucket's first place, up to its second. One SELECT."""
    if not places:
        return None
    with connection.cursor() as cursor:
        cursor.execute(OLDEST, _columns(places))
        oldest: datetime | None = cursor.fetchone()[0]
    return oldest


def count_between(places: Places) -> int:
    """How many decisions lie beyond each bucket's first place, up to its second. One SELECT, which counts them."""
    if not places:
        return 0
    with connection.cursor() as cursor:
        cursor.execute(COUNT, _columns(places))
        return int(cursor.fetchone()[0])


def pruned_calls(bucket: Bucket, after: StreamId) -> int:
    """How many calls beyond this place are no longer kept singly, those of its own clock hour aside."""
    kept_since = DECISIONS.kept_since()
    if kept_since is None or from_ms(after.ms) >= kept_since:
        return 0
    hours = UsageHour.objects.filter(
        account_id__in=Account.objects.filter(bucket=bucket).values("pk"),
        hour__gt=from_ms(after.ms),
        hour__lt=kept_since,
    )
    sums = hours.aggregate(allowed=Sum("calls_allowed", default=0), denied=Sum("calls_denied", default=0))
    return int(sums["allowed"] + sums["denied"])


def _columns(places: Places) -> dict[str, Any]:
    return {
        "buckets": list(places),
        "after": [decision_id(bucket, after) for bucket, (after, _) in places.items()],
        "until": [decision_id(bucket, until) for bucket, (_, until) in places.items()],
        "since": [from_ms(after.ms) for after, _ in places.values()],
        "last": [from_ms(until.ms) for _, until in places.values()],
    }
