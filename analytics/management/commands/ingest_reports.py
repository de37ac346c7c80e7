"""`ingest_reports`: the task's twin, by hand."""

import json
import sys
from typing import Any

import click
from django.core.management.base import BaseCommand, CommandParser
from django.utils import timezone

from analytics.models import InboxReport
from analytics.reports.parsing import parse_report
from analytics.rollup import ingesting


class Command(BaseCommand):
    help = "Counts the reports of the inbox, until none is left."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--seconds", type=float, default=3600.0, help="stop after so many (default: an hour)")
        parser.add_argument("--json", action="store_true", help="print one JSON object and nothing else")

    def handle(self, *_: Any, **options: Any) -> None:
        with click.progressbar(length=InboxReport.objects.count(), label="reports", file=sys.stderr) as bar:
            done = ingesting.ingest_reports(
                parse=parse_report, now=timezone.now, for_s=options["seconds"], progress=bar.update
            )
        self.stdout.write(json.dumps({"reports": done}) if options["json"] else f"{done} reports left the inbox.")
