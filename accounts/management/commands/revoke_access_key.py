"""`revoke_access_key KEY`: a credential stops at once, for good."""

import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from accounts import services
from accounts.actors import Actor
from accounts.models import AccessKey
from accounts.secrets import digest_of


class Command(BaseCommand):
    help = "Revokes an access key. Name it by its id, or give - and write the secret itself to standard input."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("access_key", help="the key's id, or - to read its secret from standard input")

    def handle(self, *_: Any, **options: Any) -> None:
        access_key = _find(options["access_key"])
        services.revoke_access_key(access_key, now=timezone.now(), by=Actor.command("revoke_access_key"))
        self.stdout.write(f"Revoked {access_key} of {access_key.account}.")


def _find(text: str) -> AccessKey:
    keys = AccessKey.objects.select_related("account")
    if text == "-":
        found = keys.filter(digest=digest_of(sys.stdin.readline().strip())).first()
    elif text.isdecimal():
        found = keys.filter(pk=int(text)).first()
    else:
        raise CommandError("Give the access key's id, or - (a secret on the command line is seen by everybody).")
    if found is None:
        raise CommandError("There is no such access key.")
    return found
