"""Metrics: histograms of an HTTP server are its traffic, processor time and memory its resources; and whatever they
measure, that they come is a sign of life."""

from datetime import datetime
from itertools import chain
from typing import Final

from analytics.models import Source
from analytics.observations import Parsed, Report, Resources
from analytics.reports.cleaning import moment_ns
from analytics.reports.otlp import read
from analytics.reports.otlp_harvest import Gathered, Harvest, Sender
from analytics.reports.otlp_measurements import Measurements
from analytics.reports.otlp_messages import NumberPoint, Series, Shape
from analytics.reports.otlp_series import SERIES
from analytics.reports.semantic_conventions import CPU, MEMORY, METRICS

# Far above any machine's; of processor time, times all processors.
HIGHEST: Final = {CPU: 100.0, MEMORY: float(2**62)}


def parse_metrics(report: Report) -> Parsed:
    """Errors: BadReport."""
    harvest = Harvest(report, b"metrics")
    measurements, usage = Measurements(harvest), _Usage(harvest)
    for sender, scope, metrics in read(harvest, SERIES):
        for told in metrics:
            series = _heard(harvest, sender, told)
            if series.name in METRICS:
                measurements.take(sender, scope, series)
            elif series.name in HIGHEST and series.shape is Shape.NUMBERS:
                usage.take(sender, series)
    measurements.file()
    usage.file()
    return harvest.parsed()


def _heard(harvest: Harvest, sender: Sender, series: Series) -> Series:
    """The points of a metric are of one time: the first one tells when its reporter spoke."""
    points = iter(series.points)
    first = next(points, None)
    if first is None:
        return series
    at = moment_ns(max(first.time_unix_nano, 0), harvest.report.received_at)
    if at is not None:
        sender.gathered.hear(Source.METRIC, at)
    return series._replace(points=chain((first,), points))


class _Usage:
    """Processor time and memory, paired by the time at which they were read."""

    def __init__(self, harvest: Harvest) -> None:
        self._harvest = harvest
        self._read: dict[tuple[int, datetime], tuple[Gathered, dict[str, float]]] = {}

    def take(self, sender: Sender, series: Series) -> None:
        """Points of one time add up: some reporters tell of user and system time apart."""
        for point in series.points:
            if not self._harvest.has_room():
                continue
            value = _value(point)
            if not 0 <= value <= HIGHEST[series.name]:  # NaN is neither
                self._harvest.dropped["bad_point"] += 1
                continue
            at = self._harvest.moment(point.time_unix_nano)
            if at is not None:
                key = id(sender.gathered), at
                _, values = self._read.setdefault(key, (sender.gathered, {}))
                values[series.name] = values.get(series.name, 0) + value

    def file(self) -> None:
        for (_, at), (gathered, values) in self._read.items():
            processor, memory = values.get(CPU), values.get(MEMORY)
            gathered.observed.resources.append(
                Resources(
                    at=at,
                    cpu_percent=None if processor is None else processor * 100,
                    memory_bytes=None if memory is None else int(memory),
                )
            )


def _value(point: NumberPoint) -> float:
    return point.as_int or point.as_double
