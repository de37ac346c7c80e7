"""What Celery does for analytics: each task is one call and has a command of the same name."""

from celery import shared_task
from django.utils import timezone

from analytics.rollup import folding, judging

FOLD_FOR_S = 5.0


@shared_task(name="analytics.tasks.fold_decisions")
def fold_decisions() -> int:
    return folding.fold_decisions(for_s=FOLD_FOR_S, now=timezone.now())


@shared_task(name="analytics.tasks.judge_sources")
def judge_sources() -> int:
    return judging.judge_silent(timezone.now())
