"""What validate would answer now and from which facts, found without spending, logging or keeping anything.

The script that decides is run as it stands, its writes left out (validation/trace.lua): a trace cannot drift from it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final

import msgspec
from django.db import connection

from accounts.models import AccessKey, Account, Scope
from accounts.secrets import Bucket
from accounts.signals import access_key_name, user_name
from keys.events import from_ms, head_name, request_words
from keys.invalidation import api_key_name
from keys.ledger.opening import open_bucket_now
from keys.ledger.reading import redis_now
from keys.redis import client
from keys.validation import replies, store
from keys.validation.fills import SELECT, SELECT_IN_ACCOUNT, Fill, Snapshot, fill_of_row
from keys.validation.replies import Answer
from keys.validation.verdicts import Decision, read_reply
from plans.signals import plan_name

ATTEMPTS: Final = 5
_MARK = "-- decide.lua stands here (keys/tracing.py)\n"
SCRIPT = (Path(store.__file__).with_name("trace.lua").read_text()).replace(_MARK, store.SCRIPT)


class Untraceable(Exception):
    """Redis went on changing while it was asked: ask again."""


@dataclass(frozen=True, slots=True)
class KeyFacts:
    """Of an api key; ids of None = there is none, moments of None = never."""

    is_active: bool
    expires_at: datetime | None
    secret_expires_at: datetime | None
    user_id: int | None
    plan_id: int | None


@dataclass(frozen=True, slots=True)
class UserFacts:
    is_disabled: bool
    plan_id: int | None
    custom_start: datetime | None


@dataclass(frozen=True, slots=True)
class PlanFacts:
    limit: int
    period: str
    name: str


@dataclass(frozen=True, slots=True)
class Facts:
    """What one source says of the call; what it does not hold, or what there is none of, is None."""

    access_expires_at: datetime | None = None
    requests_per_minute: int | None = None
    key: KeyFacts | None = None
    user: UserFacts | None = None
    plan: PlanFacts | None = None


@dataclass(frozen=True, slots=True)
class Trace:
    """`decision` is None where none can be recorded (the stream of events is full).

    `facts` decided; `from_redis`: they are those that Redis keeps, else PostgreSQL's, `saved`. Where the two differ a
    change is not yet in force: `answer_in_force` is the answer once it is, None where nothing differs.
    """

    answer: Answer
    decision: Decision | None
    facts: Facts
    saved: Facts
    from_redis: bool
    minute_used: int | None
    counter_used: int | None
    ledger_used: int
    at: datetime
    answer_in_force: Answer | None = None


@dataclass(frozen=True, slots=True)
class Caller:
    """Whose key is validated by which access key; None = any that may."""

    account: Account
    access_key: AccessKey | None = None

    @property
    def digest(self) -> bytes:
        return bytes(self.access_key.digest) if self.access_key else b""


def trace(caller: Caller, digest: bytes, *, stream_max: int, cost: int = 1) -> Trace:
    """Of an api key by its secret's digest. One SELECT, and a few scripts of Redis's that write nothing.

    After a restart of Redis the account's bucket is opened first, as the next call of validate would open it.
    Errors: RedisError, Untraceable.
    """
    digests = caller.digest.hex(), digest.hex()
    words = ("decide", *digests, cost, request_words("GET", "", "/"), Scope.LIMITLY.value, stream_max)
    for _ in range(ATTEMPTS):
        head = _open_head(Bucket(caller.account.bucket))
        now = redis_now()
        fill = _read_fill(caller, digest, now)
        known = {} if caller.access_key else {access_key_name(b""): fill.snapshots[access_key_name(b"")]}
        first, seen = _decide(words, Fill(known), head)
        filled, seen_filled = _decide(words, fill, head)
        if filled[0] in (b"MISS", b"CLOSED") or first[0] == b"CLOSED":
            continue  # changed in between
        saved = _facts(fill.snapshots, caller, digest)
        told = {"saved": saved, "ledger_used": fill.used, "at": now}
        if first[0] == b"MISS":
            return _trace(filled, seen_filled, saved, from_redis=False, **told)
        facts = _facts(known | seen["snapshots"], caller, digest)
        in_force = _answer(filled)[0] if _differ(seen["snapshots"], fill.snapshots) else None
        return _trace(first, seen, facts, from_redis=True, answer_in_force=in_force, **told)
    raise Untraceable("Redis is changing faster than it can be read: try again.")


def _trace(reply: list[Any], seen: Mapping[str, Any], facts: Facts, **told: Any) -> Trace:
    answer, decision = _answer(reply)
    counter = seen.get("counter") or {}
    is_counted = counter.get("used") and counter["life"] == seen.get("life")
    used = int(counter["used"]) if is_counted else None
    return Trace(answer, decision, facts, minute_used=seen.get("minute"), counter_used=used, **told)


def _answer(reply: list[Any]) -> tuple[Answer, Decision | None]:
    if reply[0] == b"FULL":
        return replies.UNAVAILABLE, None
    decision = read_reply(reply)
    return replies.answer_decision(decision), decision


def _differ(kept: Mapping[str, Snapshot], saved: Mapping[str, Snapshot]) -> bool:
    """Whether Redis keeps something else than what is saved. (Windows are made, not saved: theirs may be older.)"""
    return any(saved.get(name) != snapshot for name, snapshot in kept.items() if ":w:" not in name)


# --- Redis --------------------------------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class _Head:
    name: str
    run: str
    nonce: str
    inv: str


def _open_head(bucket: Bucket) -> _Head:
    run = str(client().info("server")["run_id"])
    open_bucket_now(bucket, run=run)
    name = head_name(bucket)
    with client().pipeline(transaction=False) as pipeline:
        pipeline.hmget(name, ["nonce", "inv"])
        ((nonce, inv),) = pipeline.execute()
    return _Head(name, run, nonce or "", inv or "")


def _decide(words: tuple[str | int, ...], fill: Fill, head: _Head) -> tuple[list[Any], dict[str, Any]]:
    filled = (msgspec.json.encode(fill).decode(), head.nonce, head.inv, "1")
    reply, seen = client().eval_ro(SCRIPT, 1, head.name, head.run, *words, *filled)
    return [each.encode() if isinstance(each, str) else each for each in reply], msgspec.json.decode(seen)


# --- PostgreSQL ---------------------------------------------------------------------------------------------------
def _read_fill(caller: Caller, digest: bytes, now: datetime) -> Fill:
    given: dict[str, bytes | int | datetime] = {
        "access_key": caller.digest,
        "account": caller.account.pk,
        "api_key": digest,
        "now": now,
    }
    with connection.cursor() as cursor:
        cursor.execute(SELECT if caller.access_key else SELECT_IN_ACCOUNT, given)
        found = cursor.fetchone()
        names = [column.name for column in cursor.description]
    row = None
    if found is not None:
        row = SimpleNamespace(**dict(zip(names, found, strict=True)))
        row.windows = msgspec.json.decode(row.windows) if row.windows else None  # Django leaves JSON as text
    return fill_of_row(row, access_key=caller.digest, api_key=digest, now=now)


# --- facts --------------------------------------------------------------------------------------------------------
def _facts(snapshots: Mapping[str, Snapshot], caller: Caller, digest: bytes) -> Facts:
    account = caller.account.pk
    access = snapshots.get(access_key_name(caller.digest))
    budget, access_expires = (access[2], access[3]) if isinstance(access, list) else (-1, 0)
    seen = Facts(_moment(access_expires), None if budget < 0 else budget)
    key = snapshots.get(api_key_name(account, digest))
    if not isinstance(key, list):
        return seen
    _, user_id, plan_id, active, expires, secret_expires, _ = key
    of_key = KeyFacts(active, _moment(expires), _moment(secret_expires), user_id or None, plan_id or None)
    user = snapshots.get(user_name(account, user_id))
    of_user = None
    if isinstance(user, list):
        disabled, user_plan_id, anchor, _ = user
        of_user = UserFacts(disabled, user_plan_id or None, _moment(int(anchor or 0)))
    decisive = of_key.plan_id or (of_user.plan_id if of_user else None)
    plan = snapshots.get(plan_name(account, decisive or 0))
    of_plan = PlanFacts(*plan) if isinstance(plan, list) else None
    return Facts(seen.access_expires_at, seen.requests_per_minute, of_key, of_user, of_plan)


def _moment(ms: int) -> datetime | None:
    return from_ms(ms) if ms else None
