"""`revoke_write_token TOKEN`: a credential stops at once, for good."""

import json
import sys
from datetime import datetime
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from accounts.actors import Actor
from accounts.secrets import digest_of
from analytics import services
from analytics.models import WriteToken


class Command(BaseCommand):
    help = "Revokes a write token. Name it by its id, or give - and write the token itself to standard input."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("write_token", help="its id, or - to read it from standard input")
        parser.add_argument("--json", action="store_true", help="print one JSON object and nothing else")

    def handle(self, *_: Any, **options: Any) -> None:
        given = options["write_token"]
        if given == "-":
            found = WriteToken.objects.filter(digest=digest_of(sys.stdin.readline().strip()))
        elif given.isdecimal():
            found = WriteToken.objects.filter(pk=int(given))
        else:
            raise CommandError("Give the write token's id, or - (a secret on the command line is seen by everybody).")
        token = found.select_related("app").first()
        if token is None:
            raise CommandError("There is no such write token: the admin lists those of every app, by id.")
        services.revoke_write_token(token, now=timezone.now(), by=Actor.command("revoke_write_token"))
        if options["json"]:
            told = {"app_id": token.app_id, "write_token_id": token.pk, "revoked_at": token.revoked_at}
            self.stdout.write(json.dumps(told, default=datetime.isoformat))
        else:
            self.stdout.write(f"Revoked {token} of {token.app}.")
