"""How an event stands in a bucket's stream, and which row of the ledger it becomes.

The short field names are decide.lua's: a stream of millions of events lives in Redis's memory (about 100 bytes each).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import NamedTuple
from uuid import UUID

from accounts.secrets import Bucket
from keys.models import Outcome
from keys.subjects import Subject

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


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


@dataclass(frozen=True, slots=True)
class Spent:
    """The window that a decision was counted in."""

    subject: Subject
    start: datetime
    end: datetime


@dataclass(frozen=True, slots=True)
class Event:
    """One decision on the record; `spent` is None where no window was touched (refused before the quota)."""

    bucket: Bucket
    stream_id: StreamId
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
    def at(self) -> datetime:
        return from_ms(self.stream_id.ms)

    @property
    def id(self) -> UUID:
        return decision_id(self.bucket, self.stream_id)

    @property
    def is_allowed(self) -> bool:
        return self.outcome is Outcome.ALLOWED

    @classmethod
    def parse(cls, bucket: Bucket, stream_id: str, fields: Mapping[str, str]) -> "Event":
        """Of the stream's own words. Errors: KeyError, ValueError when it is none that decide.lua wrote."""
        spent = None
        if fields["s"]:
            spent = Spent(Subject.parse(fields["s"]), from_ms(int(fields["b"])), from_ms(int(fields["e"])))
        return cls(
            bucket=bucket,
            stream_id=StreamId.parse(stream_id),
            account_id=int(fields["a"]),
            access_key_id=int(fields["x"]),
            api_key_id=int(fields["k"]),
            user_id=int(fields["u"]) or None,
            plan_id=int(fields["p"]) or None,
            spent=spent,
            outcome=Outcome(int(fields["o"])),
            cost=int(fields["c"]),
            method=fields["m"],
            endpoint=fields["t"],
            ip=fields["i"] or None,
        )


def decision_id(bucket: Bucket, stream_id: StreamId) -> UUID:
    """A version 8 UUID (RFC 9562) that sorts by time: 48 bits of ms, 4 of bucket, 62 of sequence number."""
    high = stream_id.ms << 16 | 0x8000 | bucket << 8
    return UUID(int=high << 64 | 0b10 << 62 | stream_id.seq)


def stream_id_of(decision: UUID) -> StreamId:
    """The place in its stream from which a decision came."""
    return StreamId(decision.int >> 80, decision.int & (1 << 62) - 1)
