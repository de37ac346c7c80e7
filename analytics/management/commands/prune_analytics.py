"""`prune_analytics`: the task's twin, by hand."""

import json
from typing import Any

from django.core.management.base import BaseCommand, CommandParser
from django.utils import timezone

from analytics.rollup.retention import prune_analytics


class Command(BaseCommand):
    help = "Drops what was observed and is older than the settings say: requests, minutes, quarter hours, errors."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--json", action="store_true", help="print one JSON object and nothing else")

    def handle(self, *_: Any, **options: Any) -> None:
        pruned = prune_analytics(timezone.now())
        names = pruned.partitions
        if options["json"]:
            self.stdout.write(json.dumps({"partitions": names, "rows": pruned.rows}))
            return
        self.stdout.write(f"{len(names)} partitions dropped{': ' if names else ''}{', '.join(names)}.")
        for what, count in sorted(pruned.rows.items()):
            self.stdout.write(f"{count} {what} deleted.")
