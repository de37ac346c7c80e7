"""`create_account NAME`: a tenant and its first access key."""

import json
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from accounts import services
from accounts.actors import Actor
from accounts.management.arguments import add_budget, budget_of, check_name


class Command(BaseCommand):
    help = "Creates an account and its first access key, whose secret is shown this once."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("name")
        add_budget(parser)
        parser.add_argument("--json", action="store_true", help="print one JSON object and nothing else")

    def handle(self, *_: Any, **options: Any) -> None:
        by = Actor.command("create_account")
        account = services.create_account(check_name(options["name"]), by=by)
        issued = services.create_access_key(account, name="first", by=by, **budget_of(options))
        told = {
            "account_id": account.pk,
            "name": account.name,
            "slug": account.slug,
            "access_key_id": issued.row.pk,
            "access_key": issued.secret,
            "requests_per_minute": issued.row.requests_per_minute,
        }
        if options["json"]:
            self.stdout.write(json.dumps(told))
            return
        self.stdout.write(f"Account {account.pk}: {account.name}")
        self.stdout.write(f"Access key, shown this once: {issued.secret}")
