"""`rebuild_traffic`: traffic's quarter hours reckoned anew from the journal of minutes."""

import json
import sys
from typing import Any

import click
from django.core.management.base import BaseCommand, CommandParser
from django.utils import timezone

from analytics.rollup.rebuilding import app_days, rebuild_traffic


class Command(BaseCommand):
    help = "Reckons traffic's quarter hours anew from the kept minutes; older ones are left as they are."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--json", action="store_true", help="print one JSON object and nothing else")

    def handle(self, *_: Any, **options: Any) -> None:
        with click.progressbar(app_days(timezone.now()), label="days", file=sys.stderr) as days:
            written = rebuild_traffic(days)
        self.stdout.write(
            json.dumps({"rows": written}) if options["json"] else f"{written} rows of quarter hours rebuilt."
        )
