"""`make_partitions`: the task's twin, by hand."""

from typing import Any

from django.core.management.base import BaseCommand
from django.utils import timezone

from keys.partitions import DECISIONS


class Command(BaseCommand):
    help = "Makes the ledger's partitions of today and the next week, where they are lacking."

    def handle(self, *_: Any, **__: Any) -> None:
        self.stdout.write(f"{DECISIONS.make_ahead(timezone.now())} partitions made.")
