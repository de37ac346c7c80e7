"""`watch_limits`: the task's twin, by hand."""

from typing import Any

from django.core.management.base import BaseCommand
from django.utils import timezone

from keys.ledger.limits import NEAR, watch_limits


class Command(BaseCommand):
    help = f"Looks through all open windows for those of whose limit {NEAR} percent or more is used."

    def handle(self, *_: Any, **__: Any) -> None:
        self.stdout.write(f"{watch_limits(timezone.now())} are near their limit, or over it.")
