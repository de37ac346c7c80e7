"""How long decisions, and the minutes of calls, are kept."""

from datetime import datetime, timedelta

from django.conf import settings
from django.db import connection

from keys.events import StreamId, from_ms
from keys.ledger.calls import prune_minutes
from keys.models import StreamPosition
from keys.partitions import DECISIONS


def prune_decisions(now: datetime) -> list[str]:
    """Drops the days older than LIMITLY_DECISION_DAYS; the names of the dropped partitions.

    The newest event, where it is older than the clock, counts as now: a clock that runs ahead drops nothing.
    """
    newest = max(StreamId.parse(last_id) for last_id in StreamPosition.objects.values_list("last_id", flat=True))
    told = min(now, from_ms(newest.ms))
    with connection.cursor() as cursor:
        prune_minutes(cursor, told)
    oldest_kept = told - timedelta(days=settings.LIMITLY_DECISION_DAYS)
    return DECISIONS.drop_before(oldest_kept)
