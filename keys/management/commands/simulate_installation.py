"""`simulate_installation`: customers that never were, in any number, to measure and look at."""

import secrets
import sys
from datetime import timedelta
from typing import Any

import click
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from accounts.actors import Actor
from keys import simulated

NUMBERS = ("accounts", "users", "keys", "months", "decisions", "changes")


class Command(BaseCommand):
    help = (
        "Makes accounts, users with subscriptions, keys with secrets, usage windows, decisions and changes that never "
        "were. A million keys take some minutes. Not for an installation with real customers."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--accounts", type=int, default=100, help="the first has half of all (default: 100)")
        parser.add_argument("--users", type=int, default=10_000, help="all together (default: 10000)")
        parser.add_argument("--keys", type=int, default=100_000, help="all together (default: 100000)")
        parser.add_argument("--months", type=int, default=1, help="of usage windows of each key (default: 1)")
        parser.add_argument("--decisions", type=int, default=0, help="of the first account (default: none)")
        parser.add_argument("--decision-days", type=int, default=7, help="over so many days (default: 7)")
        parser.add_argument("--changes", type=int, default=0, help="on record (default: none)")
        parser.add_argument("--seed", default="", help="what secrets follow from (default: chance, kept nowhere)")

    def handle(self, *_: Any, **options: Any) -> None:
        if any(options[name] < 0 for name in NUMBERS) or min(options["accounts"], options["users"]) < 1:
            raise CommandError("Give an account and a user at least, and no negative numbers.")
        if not 1 <= options["decision_days"] <= 30:
            raise CommandError("Give 1 to 30 --decision-days.")
        now, by = timezone.now(), Actor.command("simulate_installation")
        run, seed = secrets.token_hex(4), options["seed"] or secrets.token_hex(16)
        made = simulated.found(run=run, seed=seed, number=options["accounts"], by=by)
        with self._bar("users", options["users"]) as bar:
            simulated.write_users(made, number=options["users"], now=now, progress=bar.update)
        per_user = -(-options["keys"] // options["users"])
        with self._bar("keys", per_user * options["users"] if per_user else 0) as bar:
            simulated.write_keys(made, per_user=per_user, months=options["months"], now=now, progress=bar.update)
        today = now.replace(hour=0, minute=0, second=0, microsecond=0)
        days = [today - timedelta(days=back) for back in range(options["decision_days"], 0, -1)]
        with self._bar("decisions", len(days) if options["decisions"] else 0) as bar:
            days = days if options["decisions"] else []
            simulated.write_decisions(made, number=options["decisions"], days=days, progress=bar.update)
        with self._bar("changes", options["changes"]) as bar:
            simulated.write_changes(made, number=options["changes"], now=now, progress=bar.update)
        simulated.analyze()
        self.stdout.write(
            f"{options['accounts']} accounts, {options['users']} users and {per_user * options['users']} keys written, "
            f"the first account is {made.account_ids[0]}."
        )

    def _bar(self, label: str, length: int) -> Any:
        return click.progressbar(length=length, label=label, file=sys.stderr)
