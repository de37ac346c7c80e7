"""How decisions become request logs and traffic, exactly once: the position moves in the transaction that files them.

Analytics reads the ledger after its own FoldPosition, bucket by bucket in stream order, never beyond what is drained;
the ledger neither knows nor waits. Kill it anywhere: what was not committed is read again, the rest lies behind.
"""

import logging
import time
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import NamedTuple

from django.conf import settings
from django.db import DataError, transaction

from accounts.secrets import Bucket
from analytics.models import App, FoldPosition
from analytics.observations import Observed
from analytics.rollup.filing import file_observed
from analytics.rollup.giving_way import GivesWay
from analytics.rollup.partitioning import making_partitions
from analytics.rollup.places import Placed, by_app, callers_of, templates_of
from analytics.rollup.translating import Callers, observed_of
from analytics.templates import Templates
from keys.events import StreamId, from_ms, stream_id_of
from keys.ledger.following import count_between, decisions_between, filed_until, pruned_calls
from keys.models import Decision

BATCH = 5_000
Progress = Callable[[int], object]
logger = logging.getLogger(__name__)


class Folding(NamedTuple):
    """What is known of a batch, for one app of it."""

    callers: Callers
    templates: Templates
    now: datetime


def fold_decisions(
    *,
    for_s: float,
    now: datetime,
    batch: int = BATCH,
    gives_way: GivesWay | None = None,
    progress: Progress | None = None,
) -> int:
    """Folds what every bucket has to fold until nothing is left or the time is up; how many decisions were folded.

    A bucket that `gives_way` is left as it is. `progress` is told how many more were folded.

    Where LIMITLY_FOLD_DECISIONS is off, none, and no position moves: turned on again, what is still kept is folded.
    """
    if not settings.LIMITLY_FOLD_DECISIONS:
        return 0
    ends = time.monotonic() + for_s
    folded, waiting = 0, _behind()
    while waiting:
        for bucket, (after, until) in list(waiting.items()):
            if time.monotonic() >= ends:
                return folded
            waits = gives_way is not None and gives_way(bucket, after, until)
            count = 0 if waits else fold_bucket(bucket, now=now, at_most=batch)
            folded += count
            if progress:
                progress(count)
            if count < batch:
                del waiting[bucket]
    return folded


def count_unfolded() -> int:
    """How many decisions are to be folded. It counts every one of them, by an index."""
    return count_between(_behind())


def fold_bucket(bucket: Bucket, *, now: datetime, at_most: int = BATCH) -> int:
    """Folds up to so many decisions of one bucket; 0 also when another fold is at it."""
    return making_partitions(lambda: _fold_next(bucket, now, at_most))


@transaction.atomic
def _fold_next(bucket: Bucket, now: datetime, at_most: int) -> int:
    position = FoldPosition.objects.select_for_update(skip_locked=True).filter(bucket=bucket).first()
    if position is None:
        return 0
    # Only now that the lock is held: what is read is beyond every position stored before.
    after, until = StreamId(position.ms, position.seq), filed_until()[bucket]
    if after >= until:
        return 0
    decisions = decisions_between(bucket, after, until, at_most=at_most)
    _file(decisions, now)
    _say_what_was_pruned(bucket, after)
    position.ms, position.seq = stream_id_of(decisions[-1].id) if len(decisions) == at_most else until
    position.save(update_fields=["ms", "seq"])
    return len(decisions)


def _behind() -> dict[Bucket, tuple[StreamId, StreamId]]:
    """Which buckets have something to fold: after which event, and until which. Two SELECTs of sixteen rows."""
    folded = {row.bucket: StreamId(row.ms, row.seq) for row in FoldPosition.objects.all()}
    behind = {bucket: (folded.get(bucket, until), until) for bucket, until in filed_until().items()}
    return {bucket: (after, until) for bucket, (after, until) in behind.items() if after < until}


def _file(decisions: Sequence[Decision], now: datetime) -> None:
    told = by_app(decisions)
    callers, templates = callers_of(decisions), templates_of(told)
    for app in sorted(told, key=lambda app: app.pk):
        _file_of_app(app, told[app], Folding(callers, templates[app.pk], now))


def _file_of_app(app: App, placed: Sequence[Placed], folding: Folding) -> None:
    """All of them, or halves of them, down to the one whose values PostgreSQL refuses: that one is left out, and said.

    Otherwise one decision would stop its bucket for good. The ledger keeps it; anything else that fails is raised.
    """
    try:
        with transaction.atomic():
            left_out = file_observed(app, _observed(placed, folding), now=folding.now)
    except DataError as refusal:
        if len(placed) == 1:
            logger.error("decision %s was refused and is not folded: %s", placed[0].decision.id, refusal)  # noqa: TRY400
            return
        middle = len(placed) // 2
        _file_of_app(app, placed[:middle], folding)
        _file_of_app(app, placed[middle:], folding)
    else:
        if left_out:
            logger.warning("of the decisions of app %s were left out: %s", app.pk, dict(left_out))


def _observed(placed: Sequence[Placed], folding: Folding) -> list[Observed]:
    environments: dict[str, list[Decision]] = {}
    for environment, decision in placed:
        environments.setdefault(environment, []).append(decision)
    return [
        observed_of(decisions, environment=environment, templates=folding.templates, callers=folding.callers)
        for environment, decisions in environments.items()
    ]


def _say_what_was_pruned(bucket: Bucket, after: StreamId) -> None:
    if lost := pruned_calls(bucket, after):
        logger.warning(
            "bucket %x: at least %d decisions after %s were pruned before they were folded: they are in no request log "
            "and no traffic",
            bucket,
            lost,
            from_ms(after.ms).isoformat(),
        )
