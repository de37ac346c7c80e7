"""`fold_decisions`: the task's twin, by hand."""

import json
import sys
from typing import Any

import click
from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from analytics.rollup.folding import count_unfolded, fold_decisions


class Command(BaseCommand):
    help = "Makes request logs and traffic of the ledger's decisions, until none is left."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--seconds", type=float, default=3600.0, help="stop after so many (default: an hour)")
        parser.add_argument("--json", action="store_true", help="print one JSON object and nothing else")

    def handle(self, *_: Any, **options: Any) -> None:
        if not settings.LIMITLY_FOLD_DECISIONS:
            raise CommandError("LIMITLY_FOLD_DECISIONS is off: set it to 1, and what is kept is folded.")
        with click.progressbar(length=count_unfolded(), label="decisions", file=sys.stderr) as bar:
            folded = fold_decisions(for_s=options["seconds"], now=timezone.now(), progress=bar.update)
        self.stdout.write(json.dumps({"decisions": folded}) if options["json"] else f"{folded} decisions folded.")
