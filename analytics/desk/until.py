"""Until which moment the desk's charts are true: they lack what is not drained, not folded, or still in the inbox."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from redis.exceptions import RedisError

from analytics import overview
from analytics.overview import Told
from keys.api import health
from keys.events import from_ms
from keys.ledger.following import filed_until


@dataclass(frozen=True, slots=True)
class Drained:
    """`until`: every decision made before is in the ledger. Without Redis that is not known, but when it was last."""

    until: datetime
    lag_s: float | None


def drained_of(look: health.Look) -> Drained:
    """One SELECT and a round trip to Redis."""
    try:
        lag_s = look.lag.seconds
    except RedisError:
        return Drained(min(look.now, from_ms(max(place.ms for place in filed_until().values()))), None)
    return Drained(look.now - timedelta(seconds=lag_s), lag_s)


def told_of(look: health.Look, drained: Drained) -> Told:
    """Of traffic. Five SELECTs at most."""
    return overview.told_until(
        look.now,
        drained_until=drained.until,
        fold_lag_s=look.fold_lag_s,
        received=look.waiting.oldest_at,
    )
