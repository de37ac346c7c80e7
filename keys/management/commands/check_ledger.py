"""`check_ledger`: whether counters, sums and decisions say the same; exits 1 where they do not."""

import json
import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from keys.ledger.checking import check_ledger


class Command(BaseCommand):
    help = "Compares counters with the ledger, and the ledger's sums with its decisions. Exits 1 where they differ."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--json", action="store_true", help="print one JSON object and nothing else")

    def handle(self, *_: Any, **options: Any) -> None:
        report = check_ledger()
        differences = [str(difference) for difference in report.differences]
        if options["json"]:
            told = {
                "counters": report.counters,
                "dead_events": report.dead_events,
                "differences": differences,
            }
            self.stdout.write(json.dumps(told))
        else:
            for difference in differences:
                self.stdout.write(difference)
            self.stdout.write(
                f"{report.counters} counters checked, {report.dead_events} dead events, "
                f"{len(differences) or 'no'} differences."
            )
        if not report.is_clean:
            sys.exit(1)
