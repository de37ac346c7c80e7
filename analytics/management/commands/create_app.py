"""`create_app NAME --account ACCOUNT`: an application that is observed, with the credentials of its SDKs."""

import json
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import transaction

from accounts.actors import Actor
from accounts.management.arguments import check_name, find_account
from analytics import services
from analytics.models import FRAMEWORK_LENGTH, OTHER_FRAMEWORK

BY = Actor.command("create_app")


class Command(BaseCommand):
    help = "Creates an app and a write token; the token is shown this once."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("name")
        parser.add_argument("--account", required=True, help="id, slug or name")
        parser.add_argument("--framework", default=OTHER_FRAMEWORK, help="such as FastAPI or Express")
        parser.add_argument("--json", action="store_true", help="print one JSON object and nothing else")

    def handle(self, *_: Any, **options: Any) -> None:
        account, name = find_account(options["account"]), check_name(options["name"])
        framework = check_name(options["framework"])
        if len(framework) > FRAMEWORK_LENGTH:
            raise CommandError(f"A framework's name has 1 to {FRAMEWORK_LENGTH} printable characters.")
        with transaction.atomic():
            app = services.create_app(account, by=BY, name=name, framework=framework)
            token = services.create_write_token(app, name="first", by=BY)
        told = {
            "app_id": app.pk,
            "account_id": account.pk,
            "client_id": str(app.client_id),
            "write_token_id": token.row.pk,
            "write_token": token.secret,
        }
        if options["json"]:
            self.stdout.write(json.dumps(told))
        else:
            self.stdout.write(f"App {app.pk} ({app}) of {account}.")
            self.stdout.write(f"Client id, for SDKs 0.x: {app.client_id}")
            self.stdout.write(f"Write token, for SDKs 1.x and OpenTelemetry, shown this once: {token.secret}")
