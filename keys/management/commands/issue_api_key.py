"""`issue_api_key ACCOUNT`: a key for one of an account's users."""

import json
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from accounts.actors import Actor
from accounts.management.arguments import check_name, find_account, moment
from accounts.models import User
from keys import services
from plans.models import Plan


class Command(BaseCommand):
    help = "Issues an API key; its secret is shown this once."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("account", help="id, slug or name")
        parser.add_argument("--name", default="API key")
        parser.add_argument("--user", type=int, help="the user's id")
        parser.add_argument("--plan", help="the plan's id, plan_…; default: the user's plan counts")
        parser.add_argument("--expires-at", type=moment, metavar="TIME", help="ISO 8601; default: never")
        parser.add_argument("--json", action="store_true", help="print one JSON object and nothing else")

    def handle(self, *_: Any, **options: Any) -> None:
        account = find_account(options["account"])
        user, plan = None, None
        if options["user"] is not None:
            user = User.objects.of(account).filter(pk=options["user"]).first()
            if user is None:
                raise CommandError(f"{account} has no user {options['user']}: the admin lists its users.")
        if options["plan"] is not None:
            plan = Plan.objects.of(account).filter(public_id=options["plan"]).first()
            if plan is None:
                raise CommandError(f"{account} has no plan {options['plan']}: the admin lists its plans.")
        by = Actor.command("issue_api_key")
        name = check_name(options["name"])
        issued = services.issue_api_key(
            account, by=by, name=name, user=user, plan=plan, expires_at=options["expires_at"]
        )
        if options["json"]:
            self.stdout.write(json.dumps({"id": issued.row.public_id, "api_key": issued.secret}))
        else:
            self.stdout.write(f"API key {issued.row.public_id}, shown this once: {issued.secret}")
