"""Resetting a window, granting extra units for it and taking back what is left of these: one script call that changes
the counter and tells it as an event; sent once, carried out once."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from uuid import UUID

from django.db import transaction
from redis.exceptions import RedisError, ResponseError

from accounts import audit
from accounts.actors import Actor
from accounts.errors import RefusedError
from accounts.models import AuditEntry, User
from accounts.secrets import Bucket
from keys.counters import Counted, filed_grants, filed_units
from keys.events import head_name, to_ms
from keys.ledger.opening import open_bucket_now
from keys.ledger.reading import redis_now
from keys.models import AdjustmentKind, ApiKey
from keys.quotas import Quota, quota_of
from keys.redis import client
from keys.standing import in_window
from keys.subjects import Subject
from plans.models import MAX_REQUESTS
from plans.windows import Window

SCRIPT = Path(__file__).with_name("adjust.lua").read_text()
ATTEMPTS: Final = 6
REASON_LENGTH: Final = 500
DONE: Final = {
    AdjustmentKind.GRANT: "granted extra units",
    AdjustmentKind.RESET: "had its use reset",
    AdjustmentKind.TAKE: "had granted units taken back",
}
UNKNOWN: Final = {
    AdjustmentKind.GRANT: "grant not confirmed",
    AdjustmentKind.RESET: "reset not confirmed",
    AdjustmentKind.TAKE: "taking back not confirmed",
}
REFUSALS: Final = {
    "ENDED": "This window has ended: what was counted in it stays as it is.",
    "TOO_MUCH": f"No more than {MAX_REQUESTS} units can be granted for one window.",
    "FULL": "The stream of events is full: is the worker draining it? Nothing was adjusted.",
}

NOTHING: Final = {
    AdjustmentKind.RESET: "Nothing was spent in this window: there is nothing to reset.",
    AdjustmentKind.TAKE: "Nothing is left of what was granted for this window: there is nothing to take back.",
}


class NotAdjusted(RefusedError):
    """Nothing was changed, and why."""


class PerhapsAdjusted(Exception):
    """Redis's answer was lost. The same wish (its request_id) can be sent again: it is carried out once."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What is wanted of the window that somebody looked at.

    `units` are those granted, or those taken back at most; 0 for a reset.
    """

    kind: AdjustmentKind
    subject: Subject
    window: Window
    units: int
    reason: str
    request_id: UUID


@dataclass(frozen=True, slots=True)
class Adjusted:
    """`amount` is what the window's use was changed by, above zero where units were taken back; the rest is how it
    stood then."""

    amount: int
    net: int
    granted: int
    is_repeat: bool = False


def adjust(of: ApiKey | User, wish: Wish, *, by: Actor, stream_max: int) -> Adjusted:
    """Errors: NotAdjusted; PerhapsAdjusted when Redis was asked and no answer came."""
    quota = _quota_wished_for(of, wish)
    try:
        adjusted = _ask_until_answered(of, wish, quota, by, stream_max)
    except ResponseError as refusal:
        raise NotAdjusted(f"Redis refused it, and nothing was adjusted: {refusal}") from refusal
    except RedisError as lost:
        audit.record_done(by, of, UNKNOWN[wish.kind], told=_told(wish, _amount(wish)), reason=wish.reason)
        raise PerhapsAdjusted from lost
    _record(of, wish, adjusted, by)
    return adjusted


def _quota_wished_for(of: ApiKey | User, wish: Wish) -> Quota:
    if not 0 < len(wish.reason) <= REASON_LENGTH or not wish.reason.isprintable():
        raise NotAdjusted(f"Give a reason of 1 to {REASON_LENGTH} printable characters.")
    if wish.kind is not AdjustmentKind.RESET and not 0 < wish.units <= MAX_REQUESTS:
        does = "Take back" if wish.kind is AdjustmentKind.TAKE else "Grant"
        raise NotAdjusted(f"{does} 1 to {MAX_REQUESTS} units.")
    try:
        quota = quota_of(of, now=redis_now())
    except RedisError as away:
        raise NotAdjusted("Redis does not answer: nothing was adjusted.") from away
    if quota.subject == wish.subject and quota.window.start >= wish.window.end:
        raise NotAdjusted(REFUSALS["ENDED"])
    if (quota.subject, quota.window) != (wish.subject, wish.window):
        raise NotAdjusted("Another plan has come into force meanwhile, and another window counts: look again.")
    if quota.is_unlimited:
        raise NotAdjusted("Nothing limits it: there is nothing to adjust.")
    return quota


def _ask_until_answered(of: ApiKey | User, wish: Wish, quota: Quota, by: Actor, stream_max: int) -> Adjusted:
    bucket = Bucket(of.account.bucket)
    fill: tuple[str | int, ...] = ()
    for _ in range(ATTEMPTS):
        word, *rest = client().eval(SCRIPT, 1, head_name(bucket), *_words(of, wish, quota, by, stream_max), *fill)
        match word:
            case "ADJUSTED" | "REPEATED":
                amount, net, granted = rest
                return Adjusted(amount, net, granted, is_repeat=word == "REPEATED")
            case "CLOSED":
                open_bucket_now(bucket, run=rest[0])
            case "MISS":
                repeated = in_window(of.account_id, wish.subject, wish.window).filter(request_id=wish.request_id)
                if found := repeated.first():  # carried out in a former life of Redis
                    net, granted = _filed(of, wish)
                    return Adjusted(found.amount, net, granted, is_repeat=True)
                fill = (rest[0], *_filed(of, wish))
            case "NOTHING":
                raise NotAdjusted(NOTHING[wish.kind])
            case _:
                raise NotAdjusted(REFUSALS[word])
    raise NotAdjusted("Redis was restarted again and again: nothing was adjusted.")


def _filed(of: ApiKey | User, wish: Wish) -> tuple[int, int]:
    """What a counter starts from: the ledger is complete where the script misses something (DESIGN 5a, fill)."""
    counted = Counted(of.account, wish.subject, wish.window)
    return filed_units([counted])[counted], filed_grants([counted])[counted]


def _words(of: ApiKey | User, wish: Wish, quota: Quota, by: Actor, stream_max: int) -> tuple[str | int, ...]:
    return (
        of.account_id,
        str(wish.subject),
        to_ms(wish.window.start),
        to_ms(wish.window.end),
        wish.kind.value,
        wish.units,
        str(wish.request_id),
        quota.plan.pk if quota.plan else 0,
        by.kind.value,
        by.name[:150],
        wish.reason,
        stream_max,
        MAX_REQUESTS,
        quota.limit,
    )


def _record(of: ApiKey | User, wish: Wish, adjusted: Adjusted, by: Actor) -> None:
    """Also of a wish that was carried out before, where nobody came to record it."""
    with transaction.atomic():
        entries = AuditEntry.objects.filter(row_type=of._meta.label, row_id=of.pk, after__request=str(wish.request_id))
        if adjusted.is_repeat and entries.filter(action__endswith=DONE[wish.kind]).exists():
            return
        audit.record_done(by, of, DONE[wish.kind], told=_told(wish, adjusted.amount), reason=wish.reason)


def _amount(wish: Wish) -> int:
    """By what the window's use would be changed, if all of it is there to be changed."""
    return wish.units if wish.kind is AdjustmentKind.TAKE else -wish.units


def _told(wish: Wish, amount: int) -> dict[str, Any]:
    window = f"{wish.window.start.isoformat()}/{wish.window.end.isoformat()}"
    return {"amount": amount, "counted": str(wish.subject), "window": window, "request": str(wish.request_id)}
