"""`judge_sources`: the task's twin, by hand."""

from typing import Any

from django.core.management.base import BaseCommand
from django.utils import timezone

from analytics.rollup.judging import judge_silent


class Command(BaseCommand):
    help = "Judges anew the environments whose source of traffic or request logs was silent for 24 hours."

    def handle(self, *_: Any, **__: Any) -> None:
        self.stdout.write(f"{judge_silent(timezone.now())} judged.")
