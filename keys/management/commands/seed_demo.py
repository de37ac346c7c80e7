"""`seed_demo`: an account to play with: plans, users and keys of every kind."""

import json
import random
import sys
from datetime import timedelta
from typing import Any

import click
from django.core.management.base import BaseCommand, CommandParser
from django.utils import timezone

from accounts import services as accounts
from accounts.actors import Actor
from accounts.models import Account
from keys import services as keys
from keys.models import ApiKeyStatus
from plans import services as plans
from plans.models import Plan

BY = Actor.command("seed_demo")
PLANS = (("Free", 100, "day"), ("Starter", 1_000, "week"), ("Team", 20_000, "month"), ("Unlimited", -1, "month"))
FIRST_NAMES = ("Ada", "Grace", "Alan", "Edsger", "Barbara", "Donald", "Margaret", "Dennis", "Radia", "Ken")


class Command(BaseCommand):
    help = "Makes an account with plans, users and API keys of every kind, to try things on."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--name", default="Playground")
        parser.add_argument("--keys", type=int, default=50, help="how many API keys (default: 50)")
        parser.add_argument("--json", action="store_true", help="print one JSON object and nothing else")

    def handle(self, *_: Any, **options: Any) -> None:
        account = accounts.create_account(options["name"], by=BY)
        access_key = accounts.create_access_key(account, name="playground", by=BY, requests_per_minute=None)
        offered = [
            plans.create_plan(account, by=BY, name=name, max_requests=limit, request_period=period)
            for name, limit, period in PLANS
        ]
        with click.progressbar(range(options["keys"]), label="keys", file=sys.stderr) as numbers:
            secrets = [_issue(account, offered, number) for number in numbers]
        told = {"account_id": account.pk, "access_key": access_key.secret, "api_keys": secrets}
        if options["json"]:
            self.stdout.write(json.dumps(told))
        else:
            self.stdout.write(f"Account {account.pk}: {account}. Access key, shown this once: {access_key.secret}")
            self.stdout.write(f"{len(secrets)} API keys, the first of them: {secrets[0] if secrets else '-'}")


def _issue(account: Account, offered: list[Plan], number: int) -> str:
    """Every tenth inactive, every eleventh expired, every seventh with a plan of its own."""
    name = FIRST_NAMES[number % len(FIRST_NAMES)]
    user = plans.create_user(
        account,
        by=BY,
        name=name,
        email=f"{name.lower()}.{number}@example.com",
        plan=random.choice([None, *offered]),
    )
    issued = keys.issue_api_key(
        account,
        by=BY,
        name=f"{name}'s key",
        user=user,
        plan=offered[0] if number % 7 == 6 else None,
        status=ApiKeyStatus.INACTIVE if number % 10 == 9 else ApiKeyStatus.ACTIVE,
        expires_at=timezone.now() - timedelta(days=1) if number % 11 == 10 else None,
    )
    return issued.secret
