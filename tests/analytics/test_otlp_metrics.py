"""Metrics of any OpenTelemetry SDK: traffic of delta points, streams of cumulative ones; resources, heartbeats."""

import math
from collections import Counter
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest
from opentelemetry.proto.metrics.v1.metrics_pb2 import Metric

from analytics.histograms import Histogram
from analytics.models import Source
from analytics.observations import Call, CumulativePoint, Measure, ReportedBuckets
from tests.analytics.otlp_bodies import (
    CALL,
    CUMULATIVE,
    MINUTE_NS,
    NOW,
    NOW_NS,
    OLD_CALL,
    PLAIN,
    coarse,
    explicit,
    exponential,
    fine,
    gauge,
    metrics,
    observed,
    parsed,
)

DURATION, OLD_DURATION = "http.server.request.duration", "http.server.duration"
RECEIVED, SENT = "http.server.request.body.size", "http.server.response.body.size"
LIMITS = [0.005, 0.01, 0.025]
BEGUN = NOW.replace(second=0) - timedelta(minutes=1)  # the minute in which the points' interval starts


# --- delta --------------------------------------------------------------------------------------------------------
def test_sizes_join_the_requests_that_durations_count() -> None:
    (traffic,) = observed(
        metrics(
            exponential(RECEIVED, fine([1], offset=44, sum=46.0), unit="By"),
            exponential(DURATION, fine([2, 0, 1], sum=0.2)),
            exponential(SENT, fine([2], offset=27, zero_count=1, sum=22.0), unit="By"),
        )
    ).traffic
    assert (traffic.at, traffic.call) == (BEGUN, Call("GET", "/users/{id}", 200))
    assert (traffic.source, traffic.scope) == (Source.METRIC, "asgi")
    assert (traffic.requests, traffic.bytes_received, traffic.bytes_sent) == (3, 46, 22)
    assert traffic.durations == Histogram(0, Counter({-80: 2, -78: 1}))
    assert traffic.request_sizes == Histogram(0, Counter({44: 1}))
    assert traffic.response_sizes == Histogram(1, Counter({27: 2}))


def test_points_of_one_call_add_up_whatever_else_they_tell() -> None:
    more = {**CALL, "url.scheme": "https", "network.protocol.version": "2"}
    (traffic,) = observed(metrics(exponential(DURATION, fine([1]), fine([2], more)))).traffic
    assert traffic.requests == 3


def test_a_size_may_start_a_moment_beside_its_duration() -> None:
    """An SDK that reads the clock for each instrument anew, just around a full minute."""
    full = NOW_NS - 20 * 10**9
    late = exponential(SENT, fine([1], start_time_unix_nano=full + 5, sum=11.0), unit="By")
    (traffic,) = observed(metrics(exponential(DURATION, fine([1], start_time_unix_nano=full - 5)), late)).traffic
    assert (traffic.at, traffic.bytes_sent) == (BEGUN, 11)


def test_a_size_alone_is_left_out() -> None:
    result = parsed(metrics(exponential(SENT, fine([1], sum=11.0), unit="By")))
    assert result.dropped == {"size_without_duration": 1}
    assert not result.observed[0].traffic


def test_a_point_without_start_is_filed_at_its_time() -> None:
    (traffic,) = observed(metrics(exponential(DURATION, fine([1], start_time_unix_nano=0)))).traffic
    assert traffic.at == NOW.replace(second=0)


def test_explicit_bounds_are_filed_by_their_middles() -> None:
    (traffic,) = observed(metrics(explicit(DURATION, coarse([1, 2, 0, 1], LIMITS, max=0.5, sum=0.6)))).traffic
    assert traffic.requests == 4
    # half of 5 ms; the geometric mean of 5 and 10 ms; the highest
    assert traffic.durations == Histogram(0, Counter({-70: 1, -58: 2, -9: 1}))


def test_a_histogram_without_buckets_counts_requests() -> None:
    (traffic,) = observed(metrics(explicit(DURATION, coarse([], [], count=5, sum=1.0)))).traffic
    assert (traffic.requests, traffic.durations) == (5, None)


@pytest.mark.parametrize(
    ("name", "unit", "limits"),
    [
        (OLD_DURATION, "ms", [5, 10, 25]),
        (OLD_DURATION, "", [5, 10, 25]),
        (DURATION, "us", [5000, 10_000, 25_000]),
        (DURATION, "", LIMITS),
    ],
)
def test_units_are_the_metrics_own(name: str, unit: str, limits: list[float]) -> None:
    (traffic,) = observed(metrics(explicit(name, coarse([1, 2, 0, 0], limits, OLD_CALL), unit=unit))).traffic
    assert traffic.durations == Histogram(0, Counter({-70: 1, -58: 2}))


def test_exponential_milliseconds_become_seconds() -> None:
    (traffic,) = observed(metrics(exponential(OLD_DURATION, fine([1], offset=26), unit="ms"))).traffic
    assert traffic.durations == Histogram(0, Counter({math.ceil(8 * math.log2(2 ** (26.5 / 8) / 1000)) - 1: 1}))


def test_sizes_may_be_kilobytes() -> None:
    sizes = explicit(SENT, coarse([1, 0], [4], sum=3.0), unit="kBy")
    (traffic,) = observed(metrics(exponential(DURATION, fine([1])), sizes)).traffic
    assert traffic.bytes_sent == 3000


# --- which points count -------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "call", [{"http.request.method": "GET"}, {"http.route": "/"}, {}], ids=["route", "method", "both"]
)
def test_points_without_route_or_method_are_no_traffic(call: Mapping[str, object]) -> None:
    result = parsed(metrics(exponential(DURATION, fine([1], call), fine([1]))))
    assert result.dropped == {"no_route": 1}
    assert [each.requests for each in result.observed[0].traffic] == [1]


@pytest.mark.parametrize(
    "point",
    [
        fine([1], sum=math.nan),
        fine([1], sum=math.inf),
        fine([1], sum=-1.0),
        fine([1], scale=21),
        fine([1], scale=-11),
        fine([2**31 + 1]),
        fine([2**63, 2**63], count=1),
        fine([0] * 5000),
        fine([1], negative={"bucket_counts": [1]}),
    ],
    ids=["nan", "infinite", "negative", "fine", "coarse", "many", "too many", "wide", "below zero"],
)
def test_a_point_that_nobody_can_have_counted_is_left_out_and_the_rest_counts(point: Any) -> None:
    result = parsed(metrics(exponential(DURATION, point, fine([1]))))
    assert result.dropped == {"bad_point": 1}
    assert [each.requests for each in result.observed[0].traffic] == [1]


@pytest.mark.parametrize(
    "point",
    [
        coarse([1, 1], LIMITS),
        coarse([1, 0, 0, 1], [0.1, 0.1, 0.2]),
        coarse([1, 0, 0, 1], [0.1, math.nan, 0.2]),
        coarse([1, 1], [], count=2),
    ],
    ids=["short", "flat", "nan", "boundless"],
)
def test_explicit_bounds_must_be_bounds(point: Any) -> None:
    assert parsed(metrics(explicit(DURATION, point))).dropped == {"bad_point": 1}


@pytest.mark.parametrize(
    ("metric", "reason"),
    [
        (exponential(DURATION, fine([1]), unit="furlongs"), "unknown_unit"),
        (exponential(DURATION, fine([1]), temporality=0), "no_temporality"),
        (gauge(DURATION, 0.5, unit="s"), "no_histogram"),
    ],
    ids=["unit", "temporality", "shape"],
)
def test_metrics_that_cannot_be_read_are_left_out_with_a_reason(metric: Any, reason: str) -> None:
    result = parsed(metrics(metric, exponential(DURATION, fine([1]))))
    assert result.dropped == {reason: 1}
    assert [each.requests for each in result.observed[0].traffic] == [1]


def test_points_that_say_nothing_are_left_out_silently() -> None:
    assert not observed(metrics(exponential(DURATION, fine([]), fine([1], flags=1)))).traffic


def test_an_old_interval_is_too_late() -> None:
    old = NOW_NS - 49 * 60 * MINUTE_NS
    result = parsed(metrics(exponential(DURATION, fine([1], start_time_unix_nano=old), fine([1]))))
    assert result.dropped == {"too_late": 1}


# --- old conventions ----------------------------------------------------------------------------------------------
def test_old_conventions_are_read_and_their_scope_told_apart() -> None:
    (traffic,) = observed(
        metrics(
            explicit(OLD_DURATION, coarse([0, 2, 0, 0], [5, 10, 25], OLD_CALL), unit="ms"),
            explicit("http.server.response.size", coarse([2, 0], [100], OLD_CALL, sum=22.0), unit="By"),
            scope="flask",
        )
    ).traffic
    assert traffic.call == Call("GET", "/users/{id}", 200)
    assert (traffic.requests, traffic.bytes_sent, traffic.scope) == (2, 22, "flask (old conventions)")


@pytest.mark.parametrize("temporality", [1, 2])
def test_of_both_conventions_at_once_the_new_count(temporality: int) -> None:
    old = explicit(OLD_DURATION, coarse([0, 2, 0, 0], [5, 10, 25], OLD_CALL), unit="ms", temporality=temporality)
    old_size = explicit("http.server.response.size", coarse([2, 0], [9], OLD_CALL), unit="By", temporality=temporality)
    new = explicit(DURATION, coarse([0, 2, 0, 0], LIMITS), temporality=temporality)
    seen = observed(metrics(old, old_size, new))
    counted = [(each.scope, each.requests) for each in seen.traffic] + [
        (each.scope, each.count) for each in seen.cumulative
    ]
    assert counted == [("asgi", 2)]


def test_long_names_of_scopes_stay_apart() -> None:
    old = explicit(OLD_DURATION, coarse([0, 2, 0, 0], [5, 10, 25], OLD_CALL), unit="ms")
    message = metrics(old, scope="s" * 200)
    message.MergeFrom(metrics(exponential(DURATION, fine([1])), scope="s" * 199))
    scopes = {each.scope for each in observed(message).traffic}
    assert scopes == {"s" * 128, "s" * 110 + " (old conventions)"}


# --- cumulative ---------------------------------------------------------------------------------------------------
def streams(*told: Any, resource: Mapping[str, object] = PLAIN, scope: str = "asgi") -> list[CumulativePoint]:
    return observed(metrics(*told, resource=resource, scope=scope)).cumulative


def test_cumulative_points_are_told_as_reported() -> None:
    explicit_point = coarse([1, 2, 0, 1], LIMITS, sum=0.6, max=0.5)
    (point,) = streams(explicit(DURATION, explicit_point, temporality=CUMULATIVE))
    assert (point.measure, point.call, point.scope) == (
        Measure("durations", 1.0),
        Call("GET", "/users/{id}", 200),
        "asgi",
    )
    assert (point.start_ns, point.time_ns, point.count, point.sum) == (NOW_NS - MINUTE_NS, NOW_NS, 4, 0.6)
    assert point.buckets == ReportedBuckets((1, 2, 0, 1), limits=tuple(LIMITS), highest=0.5)
    fine_point = fine([1, 2], scale=5, zero_count=3, offset=-9)
    (other,) = streams(exponential(OLD_DURATION, fine_point, unit="ms", temporality=CUMULATIVE))
    assert other.measure == Measure("durations", 0.001)
    assert other.buckets == ReportedBuckets((1, 2), scale=5, zeros=3, offset=-9)


def test_a_stream_is_its_resource_scope_metric_attributes_and_start() -> None:
    """Forked workers may share all but the start."""
    point = coarse([1, 0, 0, 0], LIMITS)
    same = [
        explicit(DURATION, coarse(counts, LIMITS), temporality=CUMULATIVE) for counts in ([1, 0, 0, 0], [5, 0, 0, 0])
    ]
    (first,), (later,) = streams(same[0]), streams(same[1])
    assert first.stream == later.stream
    assert len(first.stream) == 32
    metric = explicit(DURATION, point, temporality=CUMULATIVE)
    others = [
        *streams(metric, resource={**PLAIN, "process.pid": 7}),
        *streams(metric, resource={**PLAIN, "deployment.environment": "dev"}),
        *streams(metric, scope="wsgi"),
        *streams(explicit(OLD_DURATION, point, temporality=CUMULATIVE)),
        *streams(
            explicit(
                DURATION,
                coarse([1, 0, 0, 0], LIMITS, start_time_unix_nano=1),
                coarse([1, 0, 0, 0], LIMITS, {**CALL, "url.scheme": "https"}),
                temporality=CUMULATIVE,
            )
        ),
    ]
    assert len({first.stream, *(each.stream for each in others)}) == 7


def test_the_order_of_attributes_makes_no_other_stream() -> None:
    turned = dict(reversed(CALL.items()))
    one, other = (
        streams(explicit(DURATION, coarse([1, 0], [1], call), temporality=CUMULATIVE))[0] for call in (CALL, turned)
    )
    assert one.stream == other.stream


def test_a_cumulative_size_counts_only_beside_its_duration() -> None:
    """Whatever their starts: an SDK notes them when it first sees the attributes."""
    size = explicit(SENT, coarse([1, 0], [9], start_time_unix_nano=5), unit="By", temporality=CUMULATIVE)
    assert parsed(metrics(size)).dropped == {"size_without_duration": 1}
    columns = [
        each.measure.column for each in streams(size, explicit(DURATION, coarse([1, 0], [1]), temporality=CUMULATIVE))
    ]
    assert columns == ["durations", "response_sizes"]


def test_times_of_a_wrong_clock_never_block_a_stream() -> None:
    """A point of the year 2100 would outrank all that come after it."""
    ahead = coarse([1, 0], [1], start_time_unix_nano=2**64 - 1, time_unix_nano=2**64 - 1)
    (point,) = streams(explicit(DURATION, ahead, temporality=CUMULATIVE))
    assert (point.start_ns, point.time_ns) == (NOW_NS, NOW_NS)


def test_a_point_with_more_attributes_than_are_read_cannot_be_told_from_others() -> None:
    crowded = coarse([1, 0], [1], {**CALL, **{f"a{number}": number for number in range(130)}})
    assert parsed(metrics(explicit(DURATION, crowded, temporality=CUMULATIVE))).dropped == {"too_many_attributes": 1}


# --- resources and heartbeats -------------------------------------------------------------------------------------
def test_processor_time_and_memory_are_paired_by_time() -> None:
    earlier = NOW_NS - 10**9
    seen = observed(
        metrics(
            gauge("process.uptime", 12.5, unit="s"),
            gauge("process.cpu.utilization", 0.25),
            gauge("process.cpu.utilization", 0.5, time_ns=earlier),
            gauge("process.memory.usage", 1000, unit="By"),
        )
    )
    assert [(each.at, each.cpu_percent, each.memory_bytes) for each in seen.resources] == [
        (NOW, 25.0, 1000),
        (NOW - timedelta(seconds=1), 50.0, None),
    ]


def test_processor_time_of_several_modes_adds_up() -> None:
    (resources,) = observed(metrics(gauge("process.cpu.utilization", 0.25, 0.5))).resources
    assert resources.cpu_percent == 75.0


@pytest.mark.parametrize("value", [math.nan, math.inf, -0.1, 101.0])
def test_a_gauge_that_cannot_be_is_left_out(value: float) -> None:
    result = parsed(metrics(gauge("process.cpu.utilization", value)))
    assert result.dropped == {"bad_point": 1}
    assert not result.observed[0].resources


def test_any_metric_is_a_sign_of_life() -> None:
    early = gauge("cpython.gc.collections", 3, time_ns=NOW_NS - 20 * MINUTE_NS)
    seen = observed(metrics(early, gauge("jvm.threads", 4), Metric(name="empty")))
    assert seen.alive == [(Source.METRIC, NOW - timedelta(minutes=20)), (Source.METRIC, NOW)]


def test_an_old_metric_is_none() -> None:
    assert not observed(metrics(gauge("jvm.threads", 4, time_ns=1))).alive
