"""How far request logs and traffic are behind the ledger: the age of its oldest decision that is not folded."""

from datetime import datetime

from django.conf import settings

from accounts.secrets import Bucket
from analytics.models import FoldPosition
from keys.events import StreamId
from keys.ledger.following import decisions_between, filed_until


def read_fold_lag(now: datetime) -> float:
    """In seconds; 0 where all is folded, or the fold is off. What is not drained yet the ledger's own lag tells.

    Cost: two SELECTs of sixteen rows, and a look into an index for each bucket that is behind.
    """
    if not settings.LIMITLY_FOLD_DECISIONS:
        return 0.0
    until = filed_until()
    ages = [0.0]
    for position in FoldPosition.objects.all():
        bucket, after = Bucket(position.bucket), StreamId(position.ms, position.seq)
        if bucket in until and after < until[bucket]:
            oldest = decisions_between(bucket, after, until[bucket], at_most=1)
            ages += [(now - decision.at).total_seconds() for decision in oldest]
    return max(ages)
