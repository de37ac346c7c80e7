"""`ingest_reports`: the task's twin, by hand."""

from typing import Any

from django.core.management.base import BaseCommand, CommandParser
from django.utils import timezone

from analytics.reports.parsing import parse_report
from analytics.rollup import ingesting


class Command(BaseCommand):
    help = "Counts the reports of the inbox, until none is left."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--seconds", type=float, default=3600.0, help="stop after so many (default: an hour)")

    def handle(self, *_: Any, **options: Any) -> None:
        done = ingesting.ingest_reports(parse=parse_report, now=timezone.now, for_s=options["seconds"])
        self.stdout.write(f"{done} reports left the inbox.")
