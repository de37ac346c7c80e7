"""`adjust_quota grant|reset`: extra units for a window that runs, or its use set to nothing, with a reason."""

import json
from typing import Any
from uuid import UUID, uuid4

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from accounts.actors import Actor
from accounts.models import User
from keys.adjusting import NotAdjusted, PerhapsAdjusted, Wish, adjust
from keys.ledger.reading import redis_now
from keys.models import AdjustmentKind, ApiKey
from keys.usage import quota_of


class Command(BaseCommand):
    help = "Grants extra units for the window that runs of a user or key, or resets what was used of it."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("kind", choices=AdjustmentKind.values)
        whose = parser.add_mutually_exclusive_group(required=True)
        whose.add_argument("--user", type=int, help="the user's id")
        whose.add_argument("--key", help="the key's id, key_…")
        parser.add_argument("--units", type=int, default=0, help="how many are granted")
        parser.add_argument("--reason", required=True, help="kept with the adjustment")
        parser.add_argument(
            "--request-id",
            type=UUID,
            metavar="UUID",
            help="names this wish: carried out once, however often it is sent",
        )
        parser.add_argument("--json", action="store_true", help="print one JSON object and nothing else")

    def handle(self, *_: Any, **options: Any) -> None:
        of = _found(options["user"], options["key"])
        kind, request_id = AdjustmentKind(options["kind"]), options["request_id"] or uuid4()
        if kind is AdjustmentKind.RESET and options["units"]:
            raise CommandError("A reset takes no --units.")
        quota = quota_of(of, now=redis_now())
        wish = Wish(kind, quota.subject, quota.window, options["units"], options["reason"], request_id)
        by = Actor.command("adjust_quota")
        try:
            adjusted = adjust(of, wish, by=by, stream_max=settings.LIMITLY_STREAM_MAX)
        except NotAdjusted as refusal:
            raise CommandError(str(refusal)) from refusal
        except PerhapsAdjusted as lost:
            again = f"the same command with --request-id {request_id} carries it out once"
            raise CommandError(f"Redis gave no answer: it may or may not have been adjusted; {again}.") from lost
        told = {
            "amount": adjusted.amount,
            "used": max(0, adjusted.net + adjusted.granted),
            "limit": quota.limit,
            "granted": adjusted.granted,
            "window_end": quota.window.end.isoformat(),
            "request_id": str(request_id),
            "is_repeat": adjusted.is_repeat,
        }
        if options["json"]:
            self.stdout.write(json.dumps(told))
        else:
            done = "Done before, once" if adjusted.is_repeat else "Done"
            allowance = quota.limit + adjusted.granted
            self.stdout.write(f"{done}: {told['used']} of {allowance} used until {quota.window.end.isoformat()}.")


def _found(user_id: int | None, key_id: str | None) -> User | ApiKey:
    if user_id is not None:
        user = User.objects.live().select_related("account").filter(pk=user_id).first()
        if user is None:
            raise CommandError(f"There is no user {user_id}, or no more: Find in the admin knows them all.")
        return user
    keys = ApiKey.objects.filter(deleted_at=None).select_related("account", "plan")
    api_key = keys.filter(public_id=key_id).first()
    if api_key is None:
        raise CommandError(f"There is no API key {key_id}, or no more: Find in the admin knows them all.")
    return api_key
