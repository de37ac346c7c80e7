"""How long what was observed is kept, and what keeping exactly once needs.

Partitions are dropped whole. The newest that anybody told, where it is older than the clock, counts as now: a clock
that runs ahead drops nothing.
"""

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from django.conf import settings
from django.db import connection
from django.db.models import Min

from analytics.models import InboxReport
from analytics.partitions import MINUTES, QUARTERS, REQUESTS, traffic_kept_since

REJECTED_DAYS, DROPPED_DAYS = 7, 35
# A report counts up to 48 hours after its own time. Its identity, and the last points of its streams, outlive the
# oldest report that is still in the inbox by that, and the reports' own age.
IDENTITY_HOURS, STREAM_HOURS = 72, 96
NANOSECONDS: Final = 10**9

NEWEST = """
SELECT max((SELECT quarter FROM analytics_sourcequarter AS its
             WHERE its.environment_id = e.id AND its.record = r ORDER BY quarter DESC LIMIT 1))
  FROM analytics_environment AS e, unnest(ARRAY[1, 2]) AS r
"""
DELETE_IDENTITIES = "DELETE FROM analytics_reportidentity WHERE counted_at < %s"
DELETE_STREAMS = "DELETE FROM analytics_cumulativestream WHERE time_ns < %s"
DELETE_REJECTED = "DELETE FROM analytics_rejectedreport WHERE created_at < %s"
DELETE_DROPPED = "DELETE FROM analytics_droppeditems WHERE hour < %s"
DELETE_ERROR_QUARTERS = "DELETE FROM analytics_errorquarter WHERE quarter < %s"
DELETE_ERROR_GROUPS = "DELETE FROM analytics_errorgroup WHERE last_seen_at < %s"
# By its key, which begins with the environment: the table is not read as a whole.
DELETE_SOURCE_QUARTERS = """
DELETE FROM analytics_sourcequarter WHERE environment_id = ANY(ARRAY(SELECT id FROM analytics_environment))
   AND record IN (1, 2) AND quarter < %s
"""
DELETE_INSTANCES = "DELETE FROM analytics_instance WHERE last_seen_at < %s"


@dataclass(slots=True)
class Pruned:
    """Names of the dropped partitions; how many rows of other tables went."""

    partitions: list[str] = field(default_factory=list)
    rows: Counter[str] = field(default_factory=Counter)


def prune_analytics(now: datetime) -> Pruned:
    """Nothing as long as nobody told of anything."""
    pruned = Pruned()
    newest = newest_told()
    if newest is None:
        return pruned
    told = min(now, newest)
    bounds = {
        REQUESTS: told - timedelta(days=settings.LIMITLY_REQUEST_LOG_DAYS),
        MINUTES: oldest_kept_minute(told),
        QUARTERS: traffic_kept_since(told, months=settings.LIMITLY_TRAFFIC_MONTHS),
    }
    for tables, oldest_kept in bounds.items():
        for partitions in tables:
            pruned.partitions += partitions.drop_before(oldest_kept)
    _prune_rows(told, pruned)
    return pruned


def newest_told() -> datetime | None:
    """The quarter hour in which reports or decisions, by their own time, were last filed. A look into an index for
    each environment."""
    with connection.cursor() as cursor:
        cursor.execute(NEWEST)
        newest: datetime | None = cursor.fetchone()[0]
    return newest


def oldest_kept_minute(told: datetime) -> datetime:
    return told - timedelta(days=settings.LIMITLY_TRAFFIC_MINUTE_DAYS)


def _prune_rows(told: datetime, pruned: Pruned) -> None:
    received = InboxReport.objects.aggregate(oldest=Min("received_at"))["oldest"]
    counted = min(told, received or told)
    last_point = counted - timedelta(hours=STREAM_HOURS)
    oldest_quarter = traffic_kept_since(told, months=settings.LIMITLY_TRAFFIC_MONTHS)
    pruned.rows["report identities"] = _delete(DELETE_IDENTITIES, counted - timedelta(hours=IDENTITY_HOURS))
    pruned.rows["cumulative streams"] = _delete(DELETE_STREAMS, int(last_point.timestamp()) * NANOSECONDS)
    pruned.rows["rejected reports"] = _delete(DELETE_REJECTED, told - timedelta(days=REJECTED_DAYS))
    pruned.rows["dropped items"] = _delete(DELETE_DROPPED, told - timedelta(days=DROPPED_DAYS))
    pruned.rows["error quarters"] = _delete(DELETE_ERROR_QUARTERS, oldest_quarter)
    pruned.rows["error groups"] = _delete(DELETE_ERROR_GROUPS, oldest_quarter)
    pruned.rows["source quarters"] = _delete(DELETE_SOURCE_QUARTERS, oldest_quarter)
    pruned.rows["instances"] = _delete(DELETE_INSTANCES, oldest_kept_minute(told))


def _delete(statement: str, bound: datetime | int) -> int:
    """In a transaction of its own; how many rows went."""
    with connection.cursor() as cursor:
        cursor.execute(statement, [bound])
        return int(cursor.rowcount)
