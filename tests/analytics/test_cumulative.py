"""Cumulative OTLP streams in the tables: workers that share an instance, restarts, reports late and twice."""

import random
from collections.abc import Iterable
from datetime import datetime

import pytest
from msgspec.structs import replace

from analytics.models import CumulativeStream, TrafficMinute
from analytics.observations import CumulativePoint, Measure, Observed, ReportedBuckets
from tests.analytics.reporting import (
    DAY,
    HOUR,
    MINUTE,
    NOW,
    body,
    call,
    file,
    filed,
    ingest,
    new_app,
    observed,
    receive,
)
from tests.analytics.test_differences import ns
from tests.cast import Tenant

COLUMNS = ("durations", "request_sizes", "response_sizes")


def points(
    requests: int, *, worker: int = 0, at: datetime = NOW, path: str = "/a", start: datetime = NOW - HOUR
) -> list[CumulativePoint]:
    """What a worker has counted so far: each request took 20 ms, brought 10 bytes and was answered with 1000."""
    sums = (requests * 0.02, requests * 10.0, requests * 1000.0)
    found = []
    for column, total in zip(COLUMNS, sums, strict=True):
        stream = f"{worker} {column} {path} {start}".encode().ljust(32, b"-")[:64]
        buckets = ReportedBuckets((0, requests, 0), limits=(0.01, 2_000.0))
        of = call(path, consumer="uma")
        found.append(
            CumulativePoint(stream, Measure(column, 1), of, "flask", ns(start), ns(at), requests, total, buckets)
        )
    return found


def said(counted: Iterable[CumulativePoint]) -> Observed:
    return Observed("prod", "shared", cumulative=list(counted))


def totals() -> tuple[int, int, int]:
    requests, received, sent = map(sum, zip(*(amounts[:3] for amounts in filed().values()), strict=True))
    return requests, received, sent


def test_a_series_counts_what_its_last_point_says(alice: Tenant) -> None:
    app = new_app(alice)
    for number, requests in enumerate((3, 3, 10, 25)):
        file(app, said(points(requests, at=NOW + number * MINUTE)))
    assert totals() == (25, 250, 25_000)
    assert CumulativeStream.objects.count() == 3


def test_in_one_batch_it_counts_the_same(alice: Tenant) -> None:
    app = new_app(alice)
    series = [said(points(requests, at=NOW + number * MINUTE)) for number, requests in enumerate((3, 10, 25))]
    random.shuffle(series)
    file(app, *series, now=NOW + HOUR)
    assert totals() == (25, 250, 25_000)
    assert TrafficMinute.objects.count() == 3  # sizes stand beside their durations


@pytest.mark.parametrize("together", [True, False])
def test_three_workers_of_one_instance_are_counted_in_full(alice: Tenant, together: bool) -> None:
    app = new_app(alice)
    reports = [
        said(points(100 * number, worker=worker, at=NOW + number * MINUTE)) for worker in range(3) for number in (1, 2)
    ]
    random.shuffle(reports)
    for batch in [reports] if together else [[each] for each in reports]:
        file(app, *batch)
    assert totals() == (600, 6000, 600_000)


def test_a_restart_is_a_stream_of_its_own(alice: Tenant) -> None:
    app = new_app(alice)
    file(app, said(points(50)))
    file(app, said(points(4, at=NOW + MINUTE, start=NOW)))
    file(app, said(points(6, at=NOW + 2 * MINUTE, start=NOW)))
    assert totals() == (56, 560, 56_000)
    assert CumulativeStream.objects.count() == 6


def test_late_and_repeated_points_add_nothing(alice: Tenant) -> None:
    app = new_app(alice)
    series = [said(points(requests, at=NOW + number * MINUTE)) for number, requests in enumerate((3, 10, 25))]
    file(app, series[2])
    file(app, series[0], series[2])
    file(app, series[1])
    assert totals() == (25, 250, 25_000)


def test_from_the_inbox_in_any_order_and_again_it_counts_the_same(alice: Tenant) -> None:
    app = new_app(alice)
    reports = [
        body(said(points(number * (worker + 1), worker=worker, at=NOW + number * MINUTE, path=path)))
        for worker in range(3)
        for number in range(6)
        for path in ("/a", "/b")
    ]
    for _ in range(4):
        receive(app, *random.sample(reports, len(reports) // 2))
        ingest()
    receive(app, *random.sample(reports, len(reports)))
    ingest()
    assert totals() == (2 * (5 + 10 + 15), 600, 60_000)


def test_points_of_another_scope_set_no_base(alice: Tenant) -> None:
    app = new_app(alice)
    file(app, observed(instance="shared", cumulative=points(3)))
    other = [replace(each, scope="wsgi", stream=b"o" * 32) for each in points(90)]
    assert file(app, said(other)) == {"other_scope": 3}
    assert totals() == (3, 30, 3000)
    assert CumulativeStream.objects.count() == 3


def test_a_point_that_cannot_be_read_is_left_out_and_its_stream_goes_on(alice: Tenant) -> None:
    app = new_app(alice)
    bad = points(5, at=NOW + MINUTE)
    bad[0] = replace(bad[0], buckets=ReportedBuckets((5,), limits=(3.0, 2.0)))
    file(app, said(points(3)))
    assert file(app, said(bad)) == {}  # other bounds: counted, without buckets
    assert file(app, said([replace(bad[0], stream=b"n" * 32)])) == {"bad_histogram": 1}
    file(app, said(points(9, at=NOW + 2 * MINUTE)))
    assert totals() == (9, 90, 9000)


def test_a_silent_streams_state_is_of_no_use_after_48_hours(alice: Tenant) -> None:
    app = new_app(alice)
    file(app, said(points(3)))
    file(app, said(points(9, at=NOW + 2 * DAY + HOUR)), now=NOW + 3 * DAY)
    file(app, said(points(11, at=NOW + 2 * DAY + 2 * HOUR)), now=NOW + 3 * DAY)
    assert totals() == (5, 50, 5000)
