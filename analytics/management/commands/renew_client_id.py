"""`renew_client_id APP`: a new client id; SDKs that report under the old one stop for good."""

import json
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from accounts.actors import Actor
from analytics import services
from analytics.management.arguments import find_app


class Command(BaseCommand):
    help = "Renews the client id of an app. SDKs 0.x that use the old one are told so and stop reporting for good."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("app", help="id or client id")
        parser.add_argument("--json", action="store_true", help="print one JSON object and nothing else")

    def handle(self, *_: Any, **options: Any) -> None:
        app = find_app(options["app"])
        services.renew_client_id(app, by=Actor.command("renew_client_id"))
        if options["json"]:
            self.stdout.write(json.dumps({"app_id": app.pk, "client_id": str(app.client_id)}))
        else:
            self.stdout.write(f"The client id of {app} is now {app.client_id}")
