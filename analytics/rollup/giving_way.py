"""When the fold leaves the processors to validate: while decisions come fast, and none has waited long (ADR 14)."""

from collections.abc import Callable
from datetime import datetime, timedelta

from django.conf import settings

from accounts.secrets import Bucket
from keys.events import StreamId
from keys.ledger.following import decisions_between
from keys.ledger.pace import Pace

WAITS_AT_MOST = timedelta(seconds=60)

GivesWay = Callable[[Bucket, StreamId, StreamId], bool]


def while_validate_is_busy(now: datetime) -> GivesWay:
    """Whether a bucket whose decisions in (after, until] are not folded may wait; asks PostgreSQL only when busy."""
    pace = Pace()

    def gives_way(bucket: Bucket, after: StreamId, until: StreamId) -> bool:
        if pace.per_second() < settings.LIMITLY_FOLD_GIVES_WAY_AT:
            return False
        oldest = decisions_between(bucket, after, until, at_most=1)
        return bool(oldest) and now - oldest[0].at < WAITS_AT_MOST

    return gives_way
