"""`drain_events`: the task's twin, by hand."""

from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from keys.ledger.drain import drain_all


class Command(BaseCommand):
    help = "Files the events of all buckets into the ledger, until none is left."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--seconds", type=float, default=3600.0, help="stop after so many (default: an hour)")

    def handle(self, *_: Any, **options: Any) -> None:
        self.stdout.write(f"{drain_all(for_s=options['seconds'])} events filed.")
