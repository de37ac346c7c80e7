"""How a metric is read off the wire: its points one by one, for a metric may hold a hundred thousand."""

from collections.abc import Iterator
from typing import Any, Final

from opentelemetry.proto.metrics.v1 import metrics_pb2

from analytics.reports.otlp import Signal
from analytics.reports.otlp_harvest import Harvest
from analytics.reports.otlp_messages import Metrics, Series, Shape
from analytics.reports.wire import NUMBER, Wire

_NAME, _UNIT = 1, 3
_POINTS, _TEMPORALITY = 1, 2
_SHAPES: Final = {5: Shape.NUMBERS, 7: Shape.NUMBERS, 9: Shape.EXPLICIT, 10: Shape.EXPONENTIAL}
_DECODE: Final = {
    Shape.NUMBERS: metrics_pb2.NumberDataPoint.FromString,
    Shape.EXPLICIT: metrics_pb2.HistogramDataPoint.FromString,
    Shape.EXPONENTIAL: metrics_pb2.ExponentialHistogramDataPoint.FromString,
}


def _from_wire(harvest: Harvest, wire: Wire, start: int, stop: int) -> Series:
    series = Series("", "")
    for number, first, last in wire.fields(start, stop):
        if last == NUMBER:
            continue
        if number == _NAME:
            series = series._replace(name=wire.data[first:last].decode(errors="replace"))
        elif number == _UNIT:
            series = series._replace(unit=wire.data[first:last].decode(errors="replace"))
        elif shape := _SHAPES.get(number):
            points = _points(harvest, wire, shape, first, last)
            series = series._replace(shape=shape, temporality=_temporality(wire, first, last), points=points)
    return series


def _temporality(wire: Wire, start: int, stop: int) -> int:
    """It stands behind the points."""
    told = [value for number, value, end in wire.fields(start, stop) if number == _TEMPORALITY and end == NUMBER]
    return told[-1] if told else 0


def _points(harvest: Harvest, wire: Wire, shape: Shape, start: int, stop: int) -> Iterator[Any]:
    for number, first, last in wire.fields(start, stop):
        if number == _POINTS and last != NUMBER:
            point = harvest.message(_DECODE[shape], wire.data[first:last])
            if point is not None:
                yield point


SERIES: Final = Signal[Series](json=Metrics, from_json=lambda metric: metric.series, from_wire=_from_wire)
