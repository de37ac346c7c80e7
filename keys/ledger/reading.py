"""Reading the ledger together with what is not in it yet, so that a caller finds what it caused a moment ago.

The stream is read first, the ledger after it: an event that a drain files in between is then in both, and dropped by
the position; the other way round it would be in neither (DESIGN 5a, read).
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime

from django.db import connection, transaction

from accounts.models import Account
from accounts.secrets import Bucket
from keys.events import (
    ADJUSTMENT_FIELD,
    FIELD,
    AdjustmentEvent,
    Event,
    StreamId,
    from_ms,
    parse_entry,
    stream_name,
)
from keys.models import StreamPosition
from keys.redis import Entry, client

# Beyond so many undrained events the ledger answers alone, and says how old its answer is.
UNDRAINED_MAX = 20_000


@dataclass(frozen=True, slots=True)
class Undrained:
    """An account's events that the ledger's snapshot lacks, oldest first. `lag_s` is None when all of them are here."""

    events: list[Event]
    lag_s: float | None = None
    adjustments: list[AdjustmentEvent] = field(default_factory=list)


@contextmanager
def beside_the_ledger(account: Account) -> Iterator[Undrained]:
    """While it is open, every query sees the ledger as of one moment, to which the events are the complement."""
    bucket = Bucket(account.bucket)
    entries = client().xrange(stream_name(bucket), count=UNDRAINED_MAX + 1)
    with transaction.atomic(durable=True):
        with connection.cursor() as cursor:
            cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        position = StreamId.parse(StreamPosition.objects.values_list("last_id", flat=True).get(bucket=bucket))
        beyond = [entry for entry in entries if StreamId.parse(entry[0]) > position]
        if len(entries) > UNDRAINED_MAX:
            yield Undrained([], _age_s(beyond))
        else:
            yield _undrained([event for entry in beyond if (event := _event(bucket, account, entry))])


def redis_now() -> datetime:
    """The only clock that decides."""
    seconds, microseconds = client().time()
    return from_ms(seconds * 1000 + microseconds // 1000)


def _undrained(events: list[Event | AdjustmentEvent]) -> Undrained:
    return Undrained(
        [event for event in events if isinstance(event, Event)],
        adjustments=[event for event in events if isinstance(event, AdjustmentEvent)],
    )


def _event(bucket: Bucket, account: Account, entry: Entry) -> Event | AdjustmentEvent | None:
    stream_id, fields = entry
    words = fields.get(FIELD) or fields.get(ADJUSTMENT_FIELD) or ""
    if not words.startswith(f"{account.pk} "):
        return None
    try:
        return parse_entry(bucket, stream_id, fields)
    except (KeyError, ValueError):
        return None  # it will go to DeadEvent


def _age_s(entries: list[Entry]) -> float:
    if not entries:
        return 0.0
    return max(0.0, (redis_now() - from_ms(StreamId.parse(entries[0][0]).ms)).total_seconds())
