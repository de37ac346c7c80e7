"""How the texts and numbers of hub reports become values that may be kept: calls, consumers, counts, times."""

import math
from collections.abc import Callable
from datetime import datetime
from typing import Final
from uuid import UUID

import msgspec

from analytics.histograms import BadHistogram, Histogram
from analytics.models import IDENTIFIER_LENGTH, LABEL_LENGTH, METHOD_LENGTH, PATH_LENGTH
from analytics.observations import Call
from analytics.reports.cleaning import clean, moment
from analytics.reports.hub_json import BadItem

Number = int | float

# Beyond these nothing real is told, and sums of 100,000 of them would leave PostgreSQL's bigint.
COUNT_MAX: Final = 10**9
BYTES_MAX: Final = 10**13
MILLISECONDS_MAX: Final = 2**31 - 1
BUCKETS_MAX: Final = 10_000
MESSAGE_LENGTH, STACKTRACE_LENGTH, TYPE_LENGTH, SENTRY_LENGTH = 2048, 65_536, 256, 64


class Named(msgspec.Struct, gc=False):
    """A consumer told as an object, where its identifier alone is asked for."""

    identifier: str | int | None = None


Consumer = str | int | Named | None


def text_of(text: str | None, at_most: int) -> str:
    return clean(text, at_most) if text else ""


def method_of(method: str | None) -> str:
    """Errors: BadItem no_method, too_long."""
    found = text_of(method, METHOD_LENGTH + 1).strip().upper()
    if not found:
        raise BadItem("no_method")
    if len(found) > METHOD_LENGTH:
        raise BadItem("too_long")
    return found


def path_of(path: str | None) -> str:
    """'' where no route matched; never cut, for then two routes could become one. Errors: BadItem too_long."""
    if path and len(path) > PATH_LENGTH:
        raise BadItem("too_long")
    return text_of(path, PATH_LENGTH)


def route_of(path: str | None) -> str:
    """Of what is counted: unmatched requests never are. Errors: BadItem no_path, too_long."""
    found = path_of(path)
    if not found:
        raise BadItem("no_path")
    return found


def consumer_of(consumer: Consumer) -> str | None:
    """Its identifier, cut as SDKs cut it; an empty one is none. A number is one: apps may know their users by it."""
    identifier = consumer.identifier if isinstance(consumer, Named) else consumer
    return text_of("" if identifier is None else str(identifier), IDENTIFIER_LENGTH).strip() or None


def label_of(label: str | None) -> str | None:
    """A name or a group; an empty one was not told."""
    return text_of(label, LABEL_LENGTH).strip() or None


def status_of(status: Number | None) -> int:
    """0 for what is no status of HTTP."""
    return int(status) if status is not None and 100 <= status <= 599 else 0


def counted_call(method: str | None, path: str | None, status: Number | None, consumer: Consumer) -> Call:
    """Errors: BadItem no_method, no_path, bad_status, too_long."""
    call = Call(method_of(method), route_of(path), status_of(status), consumer_of(consumer))
    if not call.status_code:
        raise BadItem("bad_status")
    return call


def count_of(count: int | None) -> int:
    """Of at least one. Errors: BadItem no_count, negative_count, out_of_range."""
    if not count:
        raise BadItem("no_count")
    if count < 0:
        raise BadItem("negative_count")
    if count > COUNT_MAX:
        raise BadItem("out_of_range")
    return count


def sum_of(total: int | None) -> int:
    """Of bytes. Errors: BadItem negative_count, out_of_range."""
    if not total:
        return 0
    if total < 0:
        raise BadItem("negative_count")
    if total > BYTES_MAX:
        raise BadItem("out_of_range")
    return total


def size_of(size: Number | None) -> int:
    """Of one request, in bytes; 0 where it is not known (Go and .NET say -1)."""
    return int(min(size, BYTES_MAX)) if size and size > 0 else 0


def seconds_of(seconds: Number | None) -> float:
    """A duration; 0 where it is none."""
    return float(min(seconds, MILLISECONDS_MAX)) if seconds and seconds > 0 else 0.0


def milliseconds_of(seconds: Number | None) -> int:
    """Of a duration told in seconds."""
    return min(round(seconds_of(seconds) * 1000), MILLISECONDS_MAX)


def histogram_of(counts: dict[str, int] | None, file: Callable[[dict[str, int]], Histogram]) -> Histogram | None:
    """None where nothing was measured. Errors: BadItem bad_histogram."""
    if not counts:
        return None
    if len(counts) > BUCKETS_MAX:
        raise BadItem("bad_histogram")
    try:
        histogram = file(counts)
    except (BadHistogram, ValueError, OverflowError) as error:
        raise BadItem("bad_histogram") from error
    if histogram.count > COUNT_MAX:
        raise BadItem("bad_histogram")
    return histogram if histogram.count else None


def time_of(seconds: Number | None, received_at: datetime) -> datetime:
    """Errors: BadItem bad_time, too_late."""
    if seconds is None or (isinstance(seconds, float) and math.isnan(seconds)):
        raise BadItem("bad_time")
    at = moment(seconds, received_at)
    if at is None:
        raise BadItem("too_late")
    return at


def uuid_of(text: str | None) -> UUID:
    """Errors: BadItem bad_uuid."""
    try:
        return UUID(text or "")
    except ValueError as error:
        raise BadItem("bad_uuid") from error
