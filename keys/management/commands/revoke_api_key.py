"""`revoke_api_key ID`: a key stops at once, as when it is deleted through the API."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from accounts.actors import Actor
from keys import services
from keys.models import ApiKey


class Command(BaseCommand):
    help = "Revokes an API key (key_…); its history stays."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("api_key", help="the key's id, key_…")

    def handle(self, *_: Any, **options: Any) -> None:
        api_key = ApiKey.objects.select_related("account").filter(public_id=options["api_key"], deleted_at=None).first()
        if api_key is None:
            raise CommandError(
                f"There is no API key {options['api_key']}, or no more: Find in the admin knows them all."
            )
        services.delete_api_key(api_key, now=timezone.now(), by=Actor.command("revoke_api_key"))
        self.stdout.write(f"Revoked {api_key.public_id} ({api_key}) of {api_key.account}.")
