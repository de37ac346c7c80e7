"""`create_access_key ACCOUNT`: one more credential for an account's backend."""

import json
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from accounts import services
from accounts.actors import Actor
from accounts.management.arguments import add_budget, budget_of, check_name, find_account, moment
from accounts.models import Scope
from accounts.services import AccessKeySettings


class Command(BaseCommand):
    help = "Creates an access key of an account; its secret is shown this once."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("account", help="id, slug or name")
        parser.add_argument("--name", default="access key")
        parser.add_argument("--scope", action="append", choices=[scope.value for scope in Scope], default=[])
        parser.add_argument("--expires-at", type=moment, metavar="TIME", help="ISO 8601; default: never")
        add_budget(parser)
        parser.add_argument("--json", action="store_true", help="print one JSON object and nothing else")

    def handle(self, *_: Any, **options: Any) -> None:
        account = find_account(options["account"])
        given: AccessKeySettings = {
            "scopes": options["scope"],
            "expires_at": options["expires_at"],
            **budget_of(options),
        }
        issued = services.create_access_key(
            account,
            name=check_name(options["name"]),
            by=Actor.command("create_access_key"),
            **given,
        )
        if options["json"]:
            told = {"account_id": account.pk, "access_key_id": issued.row.pk, "access_key": issued.secret}
            self.stdout.write(json.dumps(told))
        else:
            self.stdout.write(f"Access key {issued.row.pk} of {account}, shown this once: {issued.secret}")
