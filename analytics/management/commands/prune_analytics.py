"""`prune_analytics`: the task's twin, by hand."""

from typing import Any

from django.core.management.base import BaseCommand
from django.utils import timezone

from analytics.rollup.retention import prune_analytics


class Command(BaseCommand):
    help = "Drops what was observed and is older than the settings say: requests, minutes, quarter hours, errors."

    def handle(self, *_: Any, **__: Any) -> None:
        pruned = prune_analytics(timezone.now())
        names = pruned.partitions
        self.stdout.write(f"{len(names)} partitions dropped{': ' if names else ''}{', '.join(names)}.")
        for what, count in sorted(pruned.rows.items()):
            self.stdout.write(f"{count} {what} deleted.")
