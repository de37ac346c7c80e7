"""Points of an HTTP server's histograms become traffic (delta) or points of a stream (cumulative)."""

import hashlib
from collections.abc import Callable
from datetime import timedelta
from typing import Any, Final, NamedTuple

import msgspec

from analytics.histograms import BadHistogram, Histogram
from analytics.models import IDENTIFIER_LENGTH, Source
from analytics.observations import Call, CumulativePoint, Measure, ReportedBuckets
from analytics.reports.cleaning import clean
from analytics.reports.otlp_harvest import Gathered, Harvest, Sender, Tally, minute_of
from analytics.reports.otlp_messages import Series, Shape
from analytics.reports.otlp_points import explicit_buckets, exponential_buckets, histogram
from analytics.reports.otlp_values import SHOWN, attributes_of
from analytics.reports.semantic_conventions import BYTES, METRICS, SECONDS, Meaning, point_call

DELTA, CUMULATIVE = 1, 2
NO_VALUE: Final = 1  # of `flags`: there is nothing to say
DURATIONS: Final = "durations"
# Behind an old scope's name: both conventions count the same requests, and the roll-up counts one scope of an instance.
OLD: Final = " (old conventions)"
# SDKs read the clock for each instrument anew: a size may start in the minute beside its duration's.
BESIDE: Final = (timedelta(), timedelta(minutes=-1), timedelta(minutes=1))
_BUCKETS: Final[dict[Shape | None, Callable[..., ReportedBuckets]]] = {
    Shape.EXPLICIT: explicit_buckets,
    Shape.EXPONENTIAL: exponential_buckets,
}


class _Origin(NamedTuple):
    """Of which metric a point is. `stream` is the beginning of what its streams' digests are made of."""

    gathered: Gathered
    scope: str
    label: str
    meaning: Meaning
    measure: Measure
    buckets: Callable[..., ReportedBuckets]
    is_delta: bool
    stream: "hashlib._Hash"


class _Measured(msgspec.Struct, frozen=True, gc=False):
    """A point, checked. `stream` is empty of a delta point."""

    origin: _Origin
    call: Call
    start_ns: int
    time_ns: int
    count: int
    sum: float
    buckets: ReportedBuckets
    values: Histogram
    stream: bytes


class Measurements:
    """All points of a report are read before any is filed: sizes may come before durations, old ones before new."""

    def __init__(self, harvest: Harvest) -> None:
        self._harvest = harvest
        self._measured: list[_Measured] = []
        self._streams: set[tuple[int, str, Call]] = set()

    def take(self, sender: Sender, scope: str, series: Series) -> None:
        origin = _origin(self._harvest, sender, scope, series)
        for point in series.points:
            if not self._harvest.has_room() or point.flags & NO_VALUE:
                continue
            measured = origin if isinstance(origin, str) else _measured(origin, point)
            if isinstance(measured, str):
                self._harvest.dropped[measured] += 1
            else:
                self._measured.append(measured)

    def file(self) -> None:
        """Durations first: they say how many requests there were. Of a scope that tells by both conventions, the new
        ones count."""
        durations = [each for each in self._measured if each.origin.meaning.column == DURATIONS]
        sizes = [each for each in self._measured if each.origin.meaning.column != DURATIONS]
        anew = {_speaker(each) for each in durations if not each.origin.meaning.is_old}
        for each in (*durations, *sizes):
            if each.origin.meaning.is_old and _speaker(each) in anew:
                continue
            if each.origin.is_delta:
                self._file_delta(each)
            else:
                self._file_cumulative(each)

    def _file_delta(self, measured: _Measured) -> None:
        if not measured.count:
            return  # an interval without requests
        at = self._harvest.moment(measured.start_ns or measured.time_ns)
        if at is None:
            return
        minute, gathered = minute_of(at), measured.origin.gathered
        place = measured.call, Source.METRIC, measured.origin.label
        if measured.origin.meaning.column == DURATIONS:
            tally = gathered.tally(minute, *place)
            tally.requests += measured.count
            tally.durations.merge(measured.values)
            return
        known = (gathered.known_tally(minute + beside, *place) for beside in BESIDE)
        found = next((tally for tally in known if tally is not None), None)
        if found is None:
            self._harvest.dropped["size_without_duration"] += 1
        else:
            _add_sizes(found, measured)

    def _file_cumulative(self, measured: _Measured) -> None:
        """The roll-up knows the point before it. Times are as reported within reason, for the later one counts."""
        origin, latest = measured.origin, self._harvest.latest_ns
        place = id(origin.gathered), origin.label, measured.call
        if origin.meaning.column == DURATIONS:
            self._streams.add(place)
        elif place not in self._streams:
            self._harvest.dropped["size_without_duration"] += 1
            return
        if self._harvest.moment(measured.time_ns) is None:
            return
        start, time = (
            self._harvest.received_ns if reported > latest else reported
            for reported in (max(measured.start_ns, 0), measured.time_ns)
        )
        origin.gathered.observed.cumulative.append(
            CumulativePoint(
                stream=measured.stream,
                measure=origin.measure,
                call=measured.call,
                scope=origin.label,
                start_ns=start,
                time_ns=time,
                count=measured.count,
                sum=measured.sum,
                buckets=measured.buckets,
            )
        )


def _origin(harvest: Harvest, sender: Sender, scope: str, series: Series) -> _Origin | str:
    """Or why nothing of it can be counted."""
    meaning = METRICS[series.name]
    unit = (SECONDS if meaning.column == DURATIONS else BYTES).get(series.unit or meaning.unit)
    if unit is None:
        return "unknown_unit"
    if series.shape not in _BUCKETS:
        return "no_histogram"
    if series.temporality not in (DELTA, CUMULATIVE):
        return "no_temporality"
    speaker = harvest.report.app_id, sender.gathered.observed.environment, sorted(sender.resource.items())
    ending = OLD if meaning.is_old else ""
    return _Origin(
        gathered=sender.gathered,
        scope=scope,
        label=clean(scope, IDENTIFIER_LENGTH - len(ending)) + ending,
        meaning=meaning,
        measure=Measure(meaning.column, unit),
        buckets=_BUCKETS[series.shape],
        is_delta=series.temporality == DELTA,
        stream=hashlib.sha256(repr((speaker, scope, series.name)).encode()),
    )


def _measured(origin: _Origin, point: Any) -> _Measured | str:
    """Or why it cannot be counted."""
    attributes = attributes_of(point.attributes)
    call = point_call(attributes)
    if not call.path or not call.method:
        return "no_route"
    if len(point.attributes) > SHOWN.items and not origin.is_delta:
        return "too_many_attributes"  # what is not read might tell two streams apart
    try:
        buckets = origin.buckets(point, is_delta=origin.is_delta)
        values = histogram(buckets, origin.measure)
    except BadHistogram:
        return "bad_point"
    start, time = point.start_time_unix_nano, point.time_unix_nano
    stream = b"" if origin.is_delta else _stream(origin, attributes, start)
    return _Measured(origin, call, start, time, point.count, point.sum, buckets, values, stream)


def _stream(origin: _Origin, attributes: dict[str, object], start_ns: int) -> bytes:
    digest = origin.stream.copy()
    digest.update(repr((sorted(attributes.items()), start_ns)).encode())
    return digest.digest()


def _speaker(measured: _Measured) -> tuple[int, str]:
    return id(measured.origin.gathered), measured.origin.scope


def _add_sizes(tally: Tally, measured: _Measured) -> None:
    total = round(measured.sum * measured.origin.measure.unit)
    if measured.origin.meaning.column == "request_sizes":
        tally.bytes_received += total
        tally.request_sizes.merge(measured.values)
    else:
        tally.bytes_sent += total
        tally.response_sizes.merge(measured.values)
