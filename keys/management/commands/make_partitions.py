"""`make_partitions`: the tasks' twin, by hand."""

from typing import Any

from django.core.management.base import BaseCommand
from django.utils import timezone

from analytics import partitions
from keys.partitions import DECISIONS


class Command(BaseCommand):
    help = "Makes the partitions of decisions and of what is observed, of today and the next week, where lacking."

    def handle(self, *_: Any, **__: Any) -> None:
        now = timezone.now()
        self.stdout.write(f"{DECISIONS.make_ahead(now) + partitions.make_ahead(now)} partitions made.")
