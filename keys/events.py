"""How an event stands in a bucket's stream, and which row of the ledger it becomes.

decide.lua writes it as one line of words, in the order of RECORD: a stream of millions of events lives in Redis's
memory (about 90 bytes each), and a drain reads thousands a second. adjust.lua writes an adjustment beside them, under
another field, with who made it and why.
"""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Final, NamedTuple
from uuid import UUID

import msgspec

from accounts.secrets import Bucket
from keys.models import AdjustmentKind, Outcome
from keys.subjects import Subject

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
FIELD: Final = "e"  # the one field of an event in the stream
# The endpoint comes last: it alone may hold spaces. The window is start:end in ms. What is not there is "-", 0 or 0:0.
RECORD: Final = (
    "account_id",
    "access_key_id",
    "api_key_id",
    "user_id",
    "plan_id",
    "subject",
    "window",
    "outcome",
    "cost",
    "method",
    "ip",
    "endpoint",
)
# An adjustment's words, and the two fields that are free text.
ADJUSTMENT_FIELD: Final = "a"
ADJUSTMENT_RECORD: Final = ("account_id", "subject", "window", "kind", "amount", "plan_id", "request", "actor_kind")
ACTOR_FIELD: Final = "by"
REASON_FIELD: Final = "why"
_OUTCOMES: Final = {str(outcome.value): outcome for outcome in Outcome}


def head_name(bucket: Bucket) -> str:
    return f"{{b{bucket:x}}}:head"


def stream_name(bucket: Bucket) -> str:
    return f"{{b{bucket:x}}}:events"


def counter_name(bucket: Bucket, account_id: int, subject: Subject, start: datetime, end: datetime) -> str:
    return f"{{b{bucket:x}}}:{account_id}:c:{subject}:{to_ms(start)}:{to_ms(end)}"


def from_ms(ms: int) -> datetime:
    return EPOCH + timedelta(milliseconds=ms)


def to_ms(moment: datetime) -> int:
    return (moment - EPOCH) // timedelta(milliseconds=1)


class StreamId(NamedTuple):
    """The place of an event in its bucket's stream; compares as the stream orders."""

    ms: int
    seq: int

    @classmethod
    def parse(cls, text: str) -> "StreamId":
        ms, seq = text.split("-")
        return cls(int(ms), int(seq))

    def __str__(self) -> str:
        return f"{self.ms}-{self.seq}"

    @property
    def next(self) -> "StreamId":
        return StreamId(self.ms, self.seq + 1)


class Spent(msgspec.Struct, frozen=True, gc=False):
    """The window that a decision was counted in."""

    subject: Subject
    start: datetime
    end: datetime


class Event(msgspec.Struct, frozen=True, gc=False):
    """One decision on the record; `spent` is None where no window was touched (refused before the quota)."""

    bucket: Bucket
    stream_id: StreamId
    at: datetime
    account_id: int
    access_key_id: int
    api_key_id: int
    user_id: int | None
    plan_id: int | None
    spent: Spent | None
    outcome: Outcome
    cost: int
    method: str
    endpoint: str
    ip: str | None

    @property
    def id(self) -> UUID:
        return decision_id(self.bucket, self.stream_id)

    @property
    def is_allowed(self) -> bool:
        return self.outcome is Outcome.ALLOWED

    @property
    def units(self) -> int:
        """What its window's counter was changed by."""
        return self.cost if self.is_allowed else 0

    @classmethod
    def parse(cls, bucket: Bucket, stream_id: str, fields: Mapping[str, str]) -> "Event":
        """Of the stream's own words. Errors: KeyError, ValueError when it is none that decide.lua wrote."""
        words = fields[FIELD].split(" ", len(RECORD) - 1)
        account, access_key, api_key, user, plan, subject, window, outcome, cost, method, ip, endpoint = words
        place = StreamId.parse(stream_id)
        return cls(
            bucket,
            place,
            from_ms(place.ms),
            int(account),
            int(access_key),
            int(api_key),
            int(user) or None,
            int(plan) or None,
            None if subject == "-" else _spent(subject, window),
            _OUTCOMES[outcome],
            int(cost),
            method,
            endpoint,
            None if ip == "-" else ip,
        )


class AdjustmentEvent(msgspec.Struct, frozen=True, gc=False):
    """An event with an amount and a reason; `units` is what its window's counter was changed by."""

    bucket: Bucket
    stream_id: StreamId
    at: datetime
    account_id: int
    spent: Spent
    kind: AdjustmentKind
    units: int
    plan_id: int | None
    request_id: UUID
    actor_kind: str
    actor_name: str
    reason: str

    @property
    def id(self) -> UUID:
        return decision_id(self.bucket, self.stream_id)

    @classmethod
    def parse(cls, bucket: Bucket, stream_id: str, fields: Mapping[str, str]) -> "AdjustmentEvent":
        """Errors: KeyError, ValueError when it is none that adjust.lua wrote."""
        account, subject, window, kind, amount, plan, request, actor_kind = fields[ADJUSTMENT_FIELD].split(" ")
        place = StreamId.parse(stream_id)
        return cls(
            bucket,
            place,
            from_ms(place.ms),
            int(account),
            _spent(subject, window),
            AdjustmentKind(kind),
            int(amount),
            int(plan) or None,
            UUID(request),
            actor_kind,
            fields[ACTOR_FIELD],
            fields[REASON_FIELD],
        )


def parse_entry(bucket: Bucket, stream_id: str, fields: Mapping[str, str]) -> Event | AdjustmentEvent:
    """Whichever it is. Errors: KeyError, ValueError when it is neither."""
    kind = AdjustmentEvent if ADJUSTMENT_FIELD in fields else Event
    return kind.parse(bucket, stream_id, fields)


@lru_cache(maxsize=16_384)
def _spent(subject: str, window: str) -> Spent:
    start_ms, end_ms = window.split(":")
    return Spent(Subject.parse(subject), from_ms(int(start_ms)), from_ms(int(end_ms)))


def request_words(method: str, ip: str, endpoint: str) -> str:
    """The last words of a record, as decide.lua is given them; `ip` may be empty."""
    return f"{method} {ip or '-'} {endpoint}"


def decision_id(bucket: Bucket, stream_id: StreamId) -> UUID:
    """A version 8 UUID (RFC 9562) that sorts by time: 48 bits of ms, 4 of bucket, 62 of sequence number."""
    high = stream_id.ms << 16 | 0x8000 | bucket << 8
    return UUID(int=high << 64 | 0b10 << 62 | stream_id.seq)


def stream_id_of(decision: UUID) -> StreamId:
    """The place in its stream from which a decision came."""
    return StreamId(decision.int >> 80, decision.int & (1 << 62) - 1)
