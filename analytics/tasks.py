"""What Celery does for what is observed: each task is one call and has a command of the same name."""

from celery import shared_task
from django.utils import timezone

from analytics import partitions
from analytics.reports.parsing import parse_report
from analytics.rollup import folding, giving_way, ingesting, judging, retention

INGEST_FOR_S = FOLD_FOR_S = 5.0


@shared_task(name="analytics.tasks.ingest_reports")
def ingest_reports() -> int:
    return ingesting.ingest_reports(parse=parse_report, now=timezone.now, for_s=INGEST_FOR_S)


@shared_task(name="analytics.tasks.fold_decisions")
def fold_decisions() -> int:
    now = timezone.now()
    return folding.fold_decisions(for_s=FOLD_FOR_S, now=now, gives_way=giving_way.while_validate_is_busy(now))


@shared_task(name="analytics.tasks.judge_sources")
def judge_sources() -> int:
    return judging.judge_silent(timezone.now())


@shared_task(name="analytics.tasks.make_partitions")
def make_partitions() -> int:
    return partitions.make_ahead(timezone.now())


@shared_task(name="analytics.tasks.prune_analytics")
def prune_analytics() -> int:
    return len(retention.prune_analytics(timezone.now()).partitions)
