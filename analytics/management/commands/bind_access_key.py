"""`bind_access_key KEY --app APP --env NAME`: where the decisions of an access key are filed."""

import json
import re
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from accounts.actors import Actor
from accounts.errors import RefusedError
from accounts.management.arguments import find_access_key
from analytics import services
from analytics.management.arguments import find_app
from analytics.models import ENVIRONMENT_FORM


class Command(BaseCommand):
    help = "Files the decisions of an access key under an app and environment from now on."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("access_key", help="the key's id, or - to read its secret from standard input")
        parser.add_argument("--app", required=True, help="id or client id")
        parser.add_argument("--env", default="prod", help="made when it is not there yet (default: prod)")
        parser.add_argument("--json", action="store_true", help="print one JSON object and nothing else")

    def handle(self, *_: Any, **options: Any) -> None:
        access_key, app, env = find_access_key(options["access_key"]), find_app(options["app"]), options["env"]
        if not re.fullmatch(ENVIRONMENT_FORM, env):
            raise CommandError("An environment has 1 to 32 of the characters a-z, 0-9, - and _.")
        try:
            binding = services.bind_access_key(
                access_key, app, environment_name=env, by=Actor.command("bind_access_key")
            )
        except RefusedError as refusal:
            raise CommandError(str(refusal)) from refusal
        if options["json"]:
            told = {
                "access_key_id": access_key.pk,
                "app_id": app.pk,
                "environment_id": binding.environment_id,
                "environment": binding.environment.name,
            }
            self.stdout.write(json.dumps(told))
            return
        self.stdout.write(f"Decisions of {access_key} are filed under {app}, {binding.environment}.")
