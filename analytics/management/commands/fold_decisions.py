"""`fold_decisions`: the task's twin, by hand."""

from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from analytics.rollup.folding import fold_decisions


class Command(BaseCommand):
    help = "Makes request logs and traffic of the ledger's decisions, until none is left."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--seconds", type=float, default=3600.0, help="stop after so many (default: an hour)")

    def handle(self, *_: Any, **options: Any) -> None:
        if not settings.LIMITLY_FOLD_DECISIONS:
            raise CommandError("LIMITLY_FOLD_DECISIONS is off.")
        self.stdout.write(f"{fold_decisions(for_s=options['seconds'], now=timezone.now())} decisions folded.")
