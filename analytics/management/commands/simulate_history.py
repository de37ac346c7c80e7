"""`simulate_history`: a past that never was, in any size, to measure and look at."""

import sys
from typing import Any

import click
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from analytics.management.arguments import find_app
from analytics.rollup import history

MONTH_DAYS = 30.44


class Command(BaseCommand):
    help = (
        "Writes request logs and traffic of days gone by for an app, in any number. Not for an app with real ones: it "
        "has no minutes, and what rebuild_traffic reckons anew is without it."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--app", required=True, help="the app's id or client id")
        parser.add_argument("--logs", type=int, default=100_000, help="request logs, all together (default: 100000)")
        parser.add_argument("--log-days", type=int, default=14, help="over so many days (default: 14)")
        parser.add_argument("--endpoints", type=int, default=50)
        parser.add_argument("--consumers", type=int, default=1_000)
        parser.add_argument(
            "--months", type=int, default=1, help="of traffic (default: 1; with 50 endpoints half a million rows each)"
        )

    def handle(self, *_: Any, **options: Any) -> None:
        if options["endpoints"] < 1 or options["consumers"] < history.CONSUMERS_IN_A_QUARTER:
            raise CommandError(f"Give an endpoint and {history.CONSUMERS_IN_A_QUARTER} consumers at least.")
        if options["log_days"] < 1 or options["logs"] < 0 or options["months"] < 0:
            raise CommandError("Give one day at least, and no negative numbers.")
        app, now = find_app(options["app"]), timezone.now()
        cast = history.prepare(app, endpoints=options["endpoints"], consumers=options["consumers"])
        log_days = list(history.days_before(now, options["log_days"] if options["logs"] else 0))
        with click.progressbar(length=len(log_days), label="request logs", file=sys.stderr) as bar:
            history.write_requests(app, cast, log_days, number=options["logs"], progress=bar.update)
        traffic_days = list(history.days_before(now, int(options["months"] * MONTH_DAYS)))
        with click.progressbar(length=len(traffic_days), label="traffic", file=sys.stderr) as bar:
            history.write_traffic(app, cast, traffic_days, progress=bar.update)
        self.stdout.write(f"{options['logs']} request logs and {len(traffic_days)} days of traffic written.")
