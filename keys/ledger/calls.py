"""Calls by minute and quarter hour, of each account and of each bucket's accounts together: sums that name no API key.

Quarter hours are also known by access key and by plan. UsageHour has a row for each key and hour: of all accounts that
are millions a day. These are written by the drain in the transaction that files the decisions, and are as exact.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from enum import IntEnum
from typing import Final, NamedTuple

from django.db.backends.utils import CursorWrapper

from accounts.secrets import Bucket
from keys.events import Event, from_ms

MINUTE_MS: Final = 60_000
MINUTES_KEPT: Final = timedelta(days=2)
ALL_ACCOUNTS: Final = 0
WHOLE: Final = 0


class Grain(IntEnum):
    """In minutes. The numbers are stored."""

    MINUTE = 1
    QUARTER = 15


class Slot(NamedTuple):
    """In the order of the table's key. `account_id` ALL_ACCOUNTS: those of the bucket together. Of all access keys and
    plans both are WHOLE; else one of them names whose part it is."""

    account_id: int
    access_key_id: int
    plan_id: int
    grain: int
    start: datetime
    bucket: int


class Calls(NamedTuple):
    allowed: int
    denied: int

    def __add__(self, other: object) -> "Calls":
        if not isinstance(other, Calls):
            return NotImplemented
        return Calls(self.allowed + other.allowed, self.denied + other.denied)


NONE: Final = Calls(0, 0)
ADD = """
INSERT INTO keys_callcount AS kept (account_id, access_key_id, plan_id, grain, start, bucket,
                                    calls_allowed, calls_denied)
SELECT * FROM unnest(%s::bigint[], %s::bigint[], %s::bigint[], %s::smallint[], %s::timestamptz[], %s::smallint[],
                     %s::bigint[], %s::bigint[])
ON CONFLICT (account_id, access_key_id, plan_id, grain, start, bucket) DO UPDATE
   SET calls_allowed = kept.calls_allowed + excluded.calls_allowed,
       calls_denied = kept.calls_denied + excluded.calls_denied
"""
# Reckoned from the decisions of a bucket: `grain` is a number of minutes.
RECKONED = """
SELECT coalesce(account_id, 0) AS account_id, coalesce(access_key_id, 0) AS access_key_id,
       coalesce(plan_id, 0) AS plan_id, %(grain)s::smallint AS grain,
       date_bin(%(grain)s * interval '1 minute', at, 'epoch') AS start, %(bucket)s::smallint AS bucket,
       count(*) FILTER (WHERE outcome = 1) AS calls_allowed, count(*) FILTER (WHERE outcome <> 1) AS calls_denied
  FROM keys_decision
 WHERE at >= %(since)s AND account_id IN (SELECT id FROM accounts_account WHERE bucket = %(bucket)s)
 GROUP BY GROUPING SETS ((account_id, 5), (5), (account_id, access_key_id, 5), (account_id, plan_id, 5))
HAVING grouping(access_key_id, plan_id) = 3 OR %(grain)s = 15 AND (access_key_id <> 0 OR plan_id <> 0)
"""
CLEAR = "DELETE FROM keys_callcount WHERE bucket = %(bucket)s AND grain = %(grain)s AND start >= %(since)s"
FILL = f"""
INSERT INTO keys_callcount (account_id, access_key_id, plan_id, grain, start, bucket, calls_allowed, calls_denied)
{RECKONED}"""
PRUNE = f"DELETE FROM keys_callcount WHERE grain = {Grain.MINUTE.value} AND start < %s"  # noqa: S608  # a constant


def tally_calls(bucket: Bucket, events: Iterable[Event]) -> dict[Slot, Calls]:
    """Sums of one bucket's events, in the order of the table's key."""
    minutes: defaultdict[tuple[int, int, int, int], list[int]] = defaultdict(lambda: [0, 0])
    for event in events:
        of = event.account_id, event.access_key_id, event.plan_id or WHOLE, event.stream_id.ms // MINUTE_MS
        minutes[of][not event.is_allowed] += 1
    sums: defaultdict[Slot, Calls] = defaultdict(lambda: NONE)
    for (account_id, access_key_id, plan_id, minute), (allowed, denied) in minutes.items():
        for grain in Grain:
            start = from_ms(minute // grain * grain * MINUTE_MS)
            for counted_for in _counted_for(account_id, access_key_id, plan_id, grain):
                sums[Slot(*counted_for, grain.value, start, bucket)] += Calls(allowed, denied)
    return dict(sorted(sums.items()))


def _counted_for(account_id: int, access_key_id: int, plan_id: int, grain: Grain) -> Iterator[tuple[int, int, int]]:
    yield ALL_ACCOUNTS, WHOLE, WHOLE
    yield account_id, WHOLE, WHOLE
    if grain is Grain.QUARTER and access_key_id:
        yield account_id, access_key_id, WHOLE
    if grain is Grain.QUARTER and plan_id:
        yield account_id, WHOLE, plan_id


def add_calls(cursor: CursorWrapper, sums: dict[Slot, Calls]) -> None:
    if sums:
        rows = ((*slot, *calls) for slot, calls in sums.items())
        cursor.execute(ADD, [list(column) for column in zip(*rows, strict=True)])


def rebuild_calls(cursor: CursorWrapper, bucket: Bucket, *, since: datetime, minutes_since: datetime) -> None:
    """From the decisions of this time on; both begin a day, and the bucket's position is locked."""
    for grain, start in ((Grain.QUARTER, since), (Grain.MINUTE, max(since, minutes_since))):
        given: dict[str, int | datetime] = {"bucket": bucket, "grain": grain.value, "since": start}
        cursor.execute(CLEAR, given)
        cursor.execute(FILL, given)


def prune_minutes(cursor: CursorWrapper, now: datetime) -> int:
    """How many rows went; quarter hours are kept for good."""
    cursor.execute(PRUNE, [now - MINUTES_KEPT])
    return int(cursor.rowcount)
