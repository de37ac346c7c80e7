"""How events become the ledger, exactly once: the position moves in the transaction that writes what it passes.

Kill it anywhere: what was not committed is read again, what was committed lies behind the position (DESIGN 5a, drain).
"""

import logging
import time
from datetime import datetime

import psycopg
from django.db import DatabaseError, connection, transaction

from accounts.secrets import BUCKETS, Bucket
from keys.events import AdjustmentEvent, Event, StreamId, parse_entry, stream_name
from keys.ledger import writing
from keys.ledger.calls import add_calls, tally_calls
from keys.models import DeadEvent, StreamPosition
from keys.partitions import DECISIONS
from keys.redis import Entry, client

BATCH, PAGE = 5_000, 500
HEARTBEAT = "limitly:drain:heartbeat"
HEARTBEAT_S = 15
# What PostgreSQL, or the driver for it, says of a value that it will not take. Anything else is not the event's fault.
REFUSALS = (psycopg.DataError, psycopg.IntegrityError, ValueError, KeyError, OverflowError)
logger = logging.getLogger(__name__)


class LacksPartition(Exception):
    def __init__(self, days: set[datetime]) -> None:
        self.days = days


def drain_all(*, for_s: float, batch: int = BATCH) -> int:
    """Drains every bucket that has events until none is left or the time is up; how many events were filed."""
    client().set(HEARTBEAT, "1", ex=HEARTBEAT_S)
    ends = time.monotonic() + for_s
    drained = 0
    waiting = _buckets_with_events()
    while waiting and time.monotonic() < ends:
        for bucket in list(waiting):
            filed = drain_bucket(bucket, at_most=batch)
            drained += filed
            if filed < batch:
                waiting.remove(bucket)
            if time.monotonic() >= ends:
                break
    return drained


def drain_bucket(bucket: Bucket, *, at_most: int = BATCH) -> int:
    """Files up to so many events of one bucket; 0 also when another drain is at it."""
    while True:
        try:
            with transaction.atomic():
                entries = _file_next(bucket, at_most)
            break
        except LacksPartition as lacking:
            DECISIONS.make(lacking.days)
    if entries:
        passed = StreamId.parse(entries[-1][0])
        client().xtrim(stream_name(bucket), minid=str(passed.next), approximate=False)
    return len(entries)


def _buckets_with_events() -> list[Bucket]:
    pipeline = client().pipeline(transaction=False)
    for number in range(BUCKETS):
        pipeline.xlen(stream_name(Bucket(number)))
    return [Bucket(number) for number, length in enumerate(pipeline.execute()) if length]


def _file_next(bucket: Bucket, at_most: int) -> list[Entry]:
    position = StreamPosition.objects.select_for_update(skip_locked=True).filter(bucket=bucket).first()
    if position is None:
        return []
    # Only now that the lock is held: what is read is beyond every position stored before.
    entries = _read_after(bucket, position.last_id, at_most)
    if entries:
        _file(bucket, entries)
        position.last_id = entries[-1][0]
        position.save(update_fields=["last_id"])
    return entries


def _read_after(bucket: Bucket, last_id: str, at_most: int) -> list[Entry]:
    """In pages: while Redis reads one, no decision is made (5,000 at once took it 2 ms)."""
    entries: list[Entry] = []
    while len(entries) < at_most:
        count = min(PAGE, at_most - len(entries))
        page = client().xrange(stream_name(bucket), min=f"({last_id}", count=count)
        entries += page
        if len(page) < count:
            break
        last_id = page[-1][0]
    return entries


def _file(bucket: Bucket, entries: list[Entry]) -> None:
    """All of them, or halves of them, down to the one that is refused: that one goes to DeadEvent."""
    try:
        with transaction.atomic():
            _write([parse_entry(bucket, stream_id, fields) for stream_id, fields in entries])
    except REFUSALS as refusal:
        _file_apart(bucket, entries, refusal)
    except DatabaseError as wrapped:
        if not isinstance(wrapped.__cause__, REFUSALS):
            raise
        _file_apart(bucket, entries, wrapped)


def _file_apart(bucket: Bucket, entries: list[Entry], refusal: Exception) -> None:
    if len(entries) > 1:
        middle = len(entries) // 2
        _file(bucket, entries[:middle])
        _file(bucket, entries[middle:])
        return
    stream_id, fields = entries[0]
    logger.error("event %s of bucket %x was refused and went to DeadEvent: %s", stream_id, bucket, refusal)
    legible = {name: value.replace("\0", "\\0") for name, value in fields.items()}
    DeadEvent.objects.create(bucket=bucket, stream_id=stream_id, fields=legible, reason=str(refusal)[:1000])


def _write(events: list[Event | AdjustmentEvent]) -> None:
    decisions = [event for event in events if isinstance(event, Event)]
    adjustments = [event for event in events if isinstance(event, AdjustmentEvent)]
    lacking = DECISIONS.lacking(events[0].at, events[-1].at)
    if lacking:
        raise LacksPartition(lacking)
    with connection.cursor() as cursor:
        writing.copy_decisions(cursor, decisions)
        writing.add_to_windows(cursor, writing.tally_windows(decisions))
        writing.add_to_hours(cursor, writing.tally_hours(decisions))
        add_calls(cursor, tally_calls(events[0].bucket, decisions))
        writing.touch_last_used(cursor, decisions)
        writing.add_adjustments(cursor, adjustments)
