"""Where very many durations were told, those of every so many quarter hours stand for all: of how many, and which."""

import math
from typing import Final

# Of histograms; some two million a second are added up.
BUCKETS_MAX: Final = 150_000
QUARTERS_OF_A_DAY: Final = 96
# Over quarter hours; its argument is every_of().
IN_SAMPLE: Final = "extract(epoch FROM quarter)::bigint / 900 %% %s = 0"


def every_of(buckets: int) -> int:
    """1 takes all. It has no factor in common with a day's quarter hours: in time each of them has its turn."""
    every = max(1, math.ceil(buckets / BUCKETS_MAX))
    while math.gcd(every, QUARTERS_OF_A_DAY) > 1:
        every += 1
    return every
