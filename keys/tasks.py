"""What Celery does for the keys: each task is one call and has a command of the same name."""

from celery import shared_task
from django.utils import timezone

from keys import invalidation
from keys.ledger import drain, limits, retention
from keys.partitions import DECISIONS

DRAIN_FOR_S = 5.0


@shared_task(name="keys.tasks.drain_events")
def drain_events() -> int:
    return drain.drain_all(for_s=DRAIN_FOR_S)


@shared_task(name="keys.tasks.resend_invalidations")
def resend_invalidations() -> int:
    return invalidation.resend_invalidations()


@shared_task(name="keys.tasks.make_partitions")
def make_partitions() -> int:
    return DECISIONS.make_ahead(timezone.now())


@shared_task(name="keys.tasks.prune_decisions")
def prune_decisions() -> int:
    return len(retention.prune_decisions(timezone.now()))


@shared_task(name="keys.tasks.watch_limits")
def watch_limits() -> int:
    return limits.watch_limits(timezone.now())
