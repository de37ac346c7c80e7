"""How far the ledger is behind the streams, and whether anybody drains them."""

from dataclasses import dataclass
from datetime import datetime

from accounts.secrets import Bucket
from keys.events import StreamId, from_ms, stream_name
from keys.ledger.drain import HEARTBEAT
from keys.models import StreamPosition
from keys.redis import client


@dataclass(frozen=True, slots=True)
class Lag:
    """`seconds` is the age of the oldest undrained event; 0 when all are filed."""

    seconds: float
    is_draining: bool


def read_lag(now: datetime) -> Lag:
    """Cost: one SELECT of sixteen rows, one round trip."""
    positions = {position.bucket: position.last_id for position in StreamPosition.objects.all()}
    pipeline = client().pipeline(transaction=False)
    pipeline.exists(HEARTBEAT)
    for bucket, last_id in positions.items():
        pipeline.xrange(stream_name(Bucket(bucket)), min=f"({last_id}", count=1)
    beats, *oldest = pipeline.execute()
    ages = [(now - from_ms(StreamId.parse(entries[0][0]).ms)).total_seconds() for entries in oldest if entries]
    return Lag(max(0.0, *ages) if ages else 0.0, bool(beats))
