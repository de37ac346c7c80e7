"""How far request logs and traffic are behind the ledger: the age of its oldest decision that is not folded."""

from datetime import datetime

from django.conf import settings

from accounts.secrets import Bucket
from analytics.models import FoldPosition
from keys.events import StreamId
from keys.ledger.following import filed_until, oldest_beyond


def read_fold_lag(now: datetime) -> float:
    """In seconds; 0 where all is folded, or the fold is off. What is not drained yet the ledger's own lag tells.

    Cost: three SELECTs, two of sixteen rows, one that looks into an index for each bucket that is behind.
    """
    if not settings.LIMITLY_FOLD_DECISIONS:
        return 0.0
    folded = {Bucket(row.bucket): StreamId(row.ms, row.seq) for row in FoldPosition.objects.all()}
    oldest = oldest_beyond(
        {
            bucket: (folded[bucket], until)
            for bucket, until in filed_until().items()
            if bucket in folded and folded[bucket] < until
        }
    )
    return 0.0 if oldest is None else max(0.0, (now - oldest).total_seconds())
