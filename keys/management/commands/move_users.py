"""`move_users --from PLAN --to PLAN`: all users of a plan to another; stopped anywhere, it can be begun again."""

import json
import sys
from typing import Any

import click
from django.core.management.base import BaseCommand, CommandError, CommandParser

from accounts.actors import Actor
from accounts.errors import RefusedError
from keys.invalidation import NotYetInForce
from keys.ledger.reading import redis_now
from keys.overrun import overrun_of_plan
from plans.models import Plan, Subscription
from plans.services import move_users

STEP = 100


class Command(BaseCommand):
    help = "Moves all users of a plan to another plan of the same account, and says how many are over its limit."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--from", required=True, dest="source", metavar="PLAN", help="the plan's id, plan_…")
        parser.add_argument("--to", required=True, dest="target", metavar="PLAN", help="the plan's id, plan_…")
        parser.add_argument("--reason", default="", help="kept in the history of changes")
        parser.add_argument("--dry-run", action="store_true", help="only say what would be")
        parser.add_argument("--json", action="store_true", help="print one JSON object and nothing else")

    def handle(self, *_: Any, **options: Any) -> None:
        source, target = _plan(options["source"]), _plan(options["target"])
        if source.account_id != target.account_id:
            raise CommandError("The plans are two accounts'.")
        if source == target or not target.is_active:
            raise CommandError("Give another plan to move to, one that is active.")
        limit, period = target.max_requests, target.period
        over = overrun_of_plan(source, limit=limit, period=period, now=redis_now(), with_keys=False)
        users = Subscription.objects.filter(plan=source, user__deleted_at=None).count()
        moved = 0 if options["dry_run"] else _move(source, target, users, options["reason"])
        told = {"users": users, "moved": moved, "over_limit": over.count, "over_limit_is_whole": over.is_whole}
        if options["json"]:
            self.stdout.write(json.dumps(told))
        else:
            least = "" if over.is_whole else "at least "
            self.stdout.write(
                f"{moved} of {users} users moved to {target}; {least}{over.count} of them have used its limit."
            )


def _move(source: Plan, target: Plan, expected: int, reason: str) -> int:
    """A page at a time, in the order of the subscriptions: who was left where it is does not come again."""
    moved, last, by = 0, 0, Actor.command("move_users")
    with click.progressbar(length=expected, label="users", file=sys.stderr) as progress:
        while page := _page(source, last):
            users = [subscription.user for subscription in page]
            try:
                moved += move_users(users, by=by, source=source, target=target, reason=reason)
            except NotYetInForce as away:
                raise CommandError("Redis does not answer: the last change is not yet in force. Begin again.") from away
            except RefusedError as refusal:
                raise CommandError(str(refusal)) from refusal
            last = page[-1].pk
            progress.update(len(page))
    return moved


def _page(source: Plan, last: int) -> list[Subscription]:
    left = Subscription.objects.filter(plan=source, user__deleted_at=None, pk__gt=last)
    return list(left.select_related("user__account").order_by("pk")[:STEP])


def _plan(public_id: str) -> Plan:
    plan = Plan.objects.select_related("account").filter(public_id=public_id, deleted_at=None).first()
    if plan is None:
        raise CommandError(f"There is no plan {public_id}.")
    return plan
