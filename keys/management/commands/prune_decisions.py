"""`prune_decisions`: the task's twin, by hand."""

from typing import Any

from django.core.management.base import BaseCommand
from django.utils import timezone

from keys.ledger.retention import prune_decisions


class Command(BaseCommand):
    help = "Drops the days of decisions that are older than LIMITLY_DECISION_DAYS; windows and hours stay."

    def handle(self, *_: Any, **__: Any) -> None:
        dropped = prune_decisions(timezone.now())
        self.stdout.write(f"{len(dropped)} days dropped{': ' if dropped else ''}{', '.join(dropped)}.")
