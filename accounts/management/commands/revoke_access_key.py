"""`revoke_access_key KEY`: a credential stops at once, for good."""

from typing import Any

from django.core.management.base import BaseCommand, CommandParser
from django.utils import timezone

from accounts import services
from accounts.actors import Actor
from accounts.management.arguments import find_access_key


class Command(BaseCommand):
    help = "Revokes an access key. Name it by its id, or give - and write the secret itself to standard input."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("access_key", help="the key's id, or - to read its secret from standard input")

    def handle(self, *_: Any, **options: Any) -> None:
        access_key = find_access_key(options["access_key"])
        services.revoke_access_key(access_key, now=timezone.now(), by=Actor.command("revoke_access_key"))
        self.stdout.write(f"Revoked {access_key} of {access_key.account}.")
