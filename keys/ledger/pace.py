"""How fast decisions are being made, by what the streams say was ever added to them."""

import time

from accounts.secrets import BUCKETS, Bucket
from keys.events import stream_name
from keys.redis import client

LOOK_S = 0.1


class Pace:
    """Between the last look and this one; the first is a tenth of a second long. A look is one round trip."""

    def __init__(self) -> None:
        self._at, self._made = time.monotonic(), _made_so_far()

    def per_second(self) -> float:
        time.sleep(max(0.0, LOOK_S - (time.monotonic() - self._at)))
        at, made = time.monotonic(), _made_so_far()
        pace = (made - self._made) / (at - self._at)
        self._at, self._made = at, made
        return max(0.0, pace)  # a stream that was lost begins again at nothing


def _made_so_far() -> int:
    pipeline = client().pipeline(transaction=False)
    for number in range(BUCKETS):
        pipeline.xinfo_stream(stream_name(Bucket(number)))
    told = pipeline.execute(raise_on_error=False)
    return sum(each["entries-added"] for each in told if isinstance(each, dict))  # a stream of nothing yet is an error
