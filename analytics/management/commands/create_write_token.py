"""`create_write_token APP`: one more credential for an app's SDKs."""

import json
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from accounts.actors import Actor
from accounts.management.arguments import check_name
from analytics import services
from analytics.management.arguments import find_app


class Command(BaseCommand):
    help = "Creates a write token of an app; it is shown this once."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("app", help="id or client id")
        parser.add_argument("--name", default="write token")
        parser.add_argument("--json", action="store_true", help="print one JSON object and nothing else")

    def handle(self, *_: Any, **options: Any) -> None:
        app = find_app(options["app"])
        name = check_name(options["name"])
        issued = services.create_write_token(app, name=name, by=Actor.command("create_write_token"))
        if options["json"]:
            self.stdout.write(
                json.dumps({"app_id": app.pk, "write_token_id": issued.row.pk, "write_token": issued.secret})
            )
        else:
            self.stdout.write(f"Write token {issued.row.pk} of {app}, shown this once: {issued.secret}")
