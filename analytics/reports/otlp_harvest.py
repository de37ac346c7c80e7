"""What is gathered of one OTLP report, by environment and instance, and what is left out of it."""

import hashlib
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cached_property
from typing import Final, TypeVar

from google.protobuf.message import DecodeError

from analytics.histograms import Histogram
from analytics.models import IDENTIFIER_LENGTH, Source
from analytics.observations import Call, ConsumerTold, Observed, Parsed, Report, Traffic
from analytics.reports.cleaning import AHEAD_AT_MOST, EPOCH, moment_ns, slug
from analytics.reports.decoding import decoded
from analytics.reports.otlp_messages import KeyValue
from analytics.reports.otlp_values import attributes_of, text
from analytics.reports.semantic_conventions import ENVIRONMENT

Message = TypeVar("Message")
Key = TypeVar("Key")

ITEMS_MAX: Final = 100_000
INSTANCES_MAX: Final = 1_000
# Of one span, point or resource: empty messages of two bytes take a hundred each once decoded.
MESSAGE_MAX_BYTES: Final = 1024 * 1024
CLIENT_LENGTH: Final = 64
APITALLY: Final = "apitally"  # its scope, and what the names of its distributions begin with
QUARTER: Final = timedelta(minutes=15)


@dataclass(slots=True)
class Tally:
    """Requests of one call in one minute, as they add up."""

    requests: int = 0
    bytes_received: int = 0
    bytes_sent: int = 0
    durations: Histogram = field(default_factory=Histogram)
    request_sizes: Histogram = field(default_factory=Histogram)
    response_sizes: Histogram = field(default_factory=Histogram)


@dataclass(slots=True)
class Gathered:
    """What one instance said. Entries of a report that are of one environment and instance share it."""

    observed: Observed
    _heard: dict[tuple[Source, int], datetime] = field(default_factory=dict)
    _tallies: dict[tuple[datetime, Call, Source, str], Tally] = field(default_factory=dict)
    _consumers: dict[tuple[str, str | None, str | None], datetime] = field(default_factory=dict)

    def hear(self, source: Source, at: datetime) -> None:
        """That a source spoke then. The latest of each quarter hour is kept, since sources are judged by those."""
        _keep_latest(self._heard, (source, (at - EPOCH) // QUARTER), at)

    def tell(self, identifier: str, at: datetime, *, name: str | None, group: str | None) -> None:
        """Of a consumer, what each of its requests says again."""
        _keep_latest(self._consumers, (identifier, name, group), at)

    def tally(self, minute: datetime, call: Call, source: Source, scope: str = "") -> Tally:
        key = minute, call, source, scope
        found = self._tallies.get(key)
        if found is None:
            found = self._tallies[key] = Tally()
        return found

    def known_tally(self, minute: datetime, call: Call, source: Source, scope: str) -> Tally | None:
        return self._tallies.get((minute, call, source, scope))

    def whole(self) -> Observed:
        self.observed.alive = [(source, at) for (source, _), at in sorted(self._heard.items())]
        self.observed.traffic = [_traffic(*key, tally) for key, tally in self._tallies.items()]
        self.observed.consumers += [
            ConsumerTold(identifier, at, name, group) for (identifier, name, group), at in self._consumers.items()
        ]
        return self.observed


@dataclass(slots=True)
class Sender:
    """Who speaks in an entry of a report."""

    gathered: Gathered
    resource: dict[str, object]
    is_apitally: bool


class Harvest:
    """Errors of its making: BadReport bad_gzip, too_large."""

    def __init__(self, report: Report, word: bytes) -> None:
        """`word` makes the identities of a signal its own."""
        self.report = report
        self.body = decoded(report.body)
        digest = hashlib.sha256(word)
        digest.update(self.body)
        self.identity = digest.digest()
        self.dropped: Counter[str] = Counter()
        self._items = 0
        self._gathered: dict[tuple[str, str], Gathered] = {}

    def parsed(self) -> Parsed:
        return Parsed(self.identity, [gathered.whole() for gathered in self._gathered.values()], self.dropped)

    def sender(self, pairs: Sequence[KeyValue], *, is_apitally: bool) -> Sender | None:
        """Of a resource; None, and counted, when over a thousand instances speak in one report."""
        resource = attributes_of(pairs)
        environment = slug(text(resource, *ENVIRONMENT) or self.report.environment)
        instance = text(resource, "service.instance.id", "service.name", at_most=IDENTIFIER_LENGTH)
        gathered = self._gathered.get((environment, instance))
        if gathered is None:
            if len(self._gathered) == INSTANCES_MAX:
                self.dropped["too_many_instances"] += 1
                return None
            gathered = Gathered(Observed(environment, instance, _client(resource)))
            self._gathered[environment, instance] = gathered
        distribution = text(resource, "telemetry.distro.name")
        return Sender(gathered, resource, is_apitally or distribution.startswith(APITALLY))

    def has_room(self) -> bool:
        """For one item more. What is over the bound is counted."""
        self._items += 1
        if self._items > ITEMS_MAX:
            self.dropped["too_many"] += 1
        return self._items <= ITEMS_MAX

    def moment(self, nanoseconds: int) -> datetime | None:
        """A time as it is filed; None, and counted, when it is too old."""
        at = moment_ns(max(nanoseconds, 0), self.report.received_at)
        if at is None:
            self.dropped["too_late"] += 1
        return at

    def message(
        self, decode: Callable[[bytes], Message], data: bytes, *, at_most: int = MESSAGE_MAX_BYTES
    ) -> Message | None:
        """One protobuf message; None, and counted, when it is broken or too large."""
        if len(data) > at_most:
            self.dropped["too_large"] += 1
            return None
        try:
            return decode(data)
        except DecodeError:
            self.dropped["bad_protobuf"] += 1
            return None

    @cached_property
    def received_ns(self) -> int:
        return _nanoseconds(self.report.received_at)

    @cached_property
    def latest_ns(self) -> int:
        """What lies beyond it, a wrong clock told."""
        return _nanoseconds(self.report.received_at + AHEAD_AT_MOST)


def minute_of(at: datetime) -> datetime:
    return at.replace(second=0, microsecond=0)


def _keep_latest(times: dict[Key, datetime], key: Key, at: datetime) -> None:
    known = times.get(key)
    if known is None or known < at:
        times[key] = at


def _traffic(minute: datetime, call: Call, source: Source, scope: str, tally: Tally) -> Traffic:
    return Traffic(
        at=minute,
        call=call,
        source=source,
        requests=tally.requests,
        bytes_received=tally.bytes_received,
        bytes_sent=tally.bytes_sent,
        durations=_unless_empty(tally.durations),
        request_sizes=_unless_empty(tally.request_sizes),
        response_sizes=_unless_empty(tally.response_sizes),
        scope=scope,
    )


def _unless_empty(histogram: Histogram) -> Histogram | None:
    return histogram if histogram.zeros or histogram.buckets else None


def _nanoseconds(at: datetime) -> int:
    return (at - EPOCH) // timedelta(microseconds=1) * 1000


def _client(resource: dict[str, object]) -> str:
    """`apitally-py/1.0.0`, `opentelemetry-python/1.45.2`: as the SDK calls itself."""
    name, version = text(resource, "telemetry.distro.name"), text(resource, "telemetry.distro.version")
    if not name:
        words = text(resource, "telemetry.sdk.name"), text(resource, "telemetry.sdk.language")
        name, version = "-".join(filter(None, words)), text(resource, "telemetry.sdk.version")
    return "/".join(filter(None, (name, version)))[:CLIENT_LENGTH]
