"""What a batch adds up to: by minute, by quarter hour, and of all consumers, of all endpoints (pure)."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import NamedTuple, Protocol

from analytics.histograms import Histogram
from analytics.observations import Traffic
from analytics.rollup.judging import quarter_of

# Of one item. Beyond lies what no app serves in a minute; 100,000 items of these stay within a bigint, and within the
# 48 bits of a packed bucket.
REQUESTS_MAX, BYTES_MAX = 2**31, 2**46
SUM_MAX = 2**63 - 1


class Amounts(Protocol):
    """What traffic is summed in. A histogram is never changed, for an item may be merged again."""

    @property
    def requests(self) -> int: ...
    @property
    def bytes_received(self) -> int: ...
    @property
    def bytes_sent(self) -> int: ...
    @property
    def durations(self) -> Histogram | None: ...
    @property
    def request_sizes(self) -> Histogram | None: ...
    @property
    def response_sizes(self) -> Histogram | None: ...


class Sum(NamedTuple):
    requests: int
    bytes_received: int
    bytes_sent: int
    durations: Histogram | None
    request_sizes: Histogram | None
    response_sizes: Histogram | None


class Cell(NamedTuple):
    """A minute or quarter hour (its start) of one call, by one source (Source's number).

    Without a consumer, and in sums of all consumers, consumer_id is 0.
    """

    start: datetime
    environment_id: int
    endpoint_id: int
    status_code: int
    consumer_id: int
    source: int


Sums = dict[Cell, Amounts]


def is_countable(traffic: Traffic) -> bool:
    histograms = traffic.durations, traffic.request_sizes, traffic.response_sizes
    return (
        0 <= traffic.requests <= REQUESTS_MAX
        and 0 <= traffic.bytes_received <= BYTES_MAX
        and 0 <= traffic.bytes_sent <= BYTES_MAX
        and all(each.count <= REQUESTS_MAX for each in histograms if each is not None)
    )


def merge(items: Iterable[tuple[Cell, Amounts]]) -> Sums:
    """In the order of the cells, which is the order of the tables' keys."""
    parts: defaultdict[Cell, list[Amounts]] = defaultdict(list)
    for cell, amounts in items:
        parts[cell].append(amounts)
    return {cell: _sum(parts[cell]) for cell in sorted(parts)}


def by_quarter(minutes: Sums) -> Sums:
    return merge((cell._replace(start=quarter_of(cell.start)), amounts) for cell, amounts in minutes.items())


def of_all_consumers(quarters: Sums) -> Sums:
    return merge((cell._replace(consumer_id=0), amounts) for cell, amounts in quarters.items())


def of_all_endpoints(totals: Sums) -> Sums:
    """By class of status: endpoint_id is 0, and status_code the class (2 is 2xx)."""
    return merge(
        (cell._replace(endpoint_id=0, status_code=cell.status_code // 100), amounts) for cell, amounts in totals.items()
    )


def minute_of(moment: datetime) -> datetime:
    return moment.replace(second=0, microsecond=0)


def _sum(parts: Sequence[Amounts]) -> Amounts:
    if len(parts) == 1:
        return parts[0]
    return Sum(
        sum(part.requests for part in parts),
        sum(part.bytes_received for part in parts),
        sum(part.bytes_sent for part in parts),
        _merged([part.durations for part in parts]),
        _merged([part.request_sizes for part in parts]),
        _merged([part.response_sizes for part in parts]),
    )


def _merged(histograms: Iterable[Histogram | None]) -> Histogram | None:
    told = [each for each in histograms if each is not None]
    if len(told) <= 1:
        return told[0] if told else None
    merged = Histogram()
    for each in told:
        merged.merge(each)
    return merged
