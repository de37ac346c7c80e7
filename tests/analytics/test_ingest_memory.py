"""What a hostile report costs: a worker holds less than 768 MiB, whatever 16 MiB are filled with."""

import gzip
import subprocess
import sys
from collections.abc import Callable
from uuid import UUID

import pytest

from analytics.models import InboxReport, RequestDetail, Span, TrafficMinute
from analytics.observations import Detail, Observed, SeenSpan
from analytics.reports.decoding import DECODED_MAX_BYTES
from tests.analytics.reporting import MINUTE, NOW, body, call, new_app, observed, receive, request, traffic
from tests.cast import Tenant
from tests.live_server import store_environment

WORKER_MAX_KB = 768 * 1024
ITEMS_MAX, SPANS_MAX = 100_000, 90_000


def _span(number: int) -> SeenSpan:
    return SeenSpan(UUID(int=number), f"{number:016x}", "", "q", "CLIENT", 10**18, 10**18, "OK", {"n": number})


def many_spans() -> Observed:
    return observed(spans=[_span(number) for number in range(SPANS_MAX)])


def many_names() -> Observed:
    """Each request of another consumer, path and minute: nothing can be merged."""
    return observed(
        *(
            traffic(1, of=call(f"/{n}", consumer=f"c{n}"), at=NOW - (n % 2_000) * MINUTE, durations=None)
            for n in range(ITEMS_MAX)
        )
    )


def large_bodies() -> Observed:
    detail = Detail(request_body="\u00e9" * 25_000, response_body="{" * 50_000)
    return observed(requests=[request(number, detail=detail) for number in range(150)])


@pytest.mark.parametrize(
    ("said", "table", "count"),
    [
        (many_spans, Span, SPANS_MAX),
        (many_names, TrafficMinute, ITEMS_MAX),
        (large_bodies, RequestDetail, 150),
    ],
)
def test_a_hostile_report_is_filed_within_bounds(
    alice: Tenant, said: Callable[[], Observed], table: type[Span | TrafficMinute | RequestDetail], count: int
) -> None:
    """Of large bodies several, which could be one batch by their number."""
    whole = body(said())
    assert DECODED_MAX_BYTES / 4 < len(whole) <= DECODED_MAX_BYTES
    receive(new_app(alice), gzip.compress(whole, 1))
    command = [sys.executable, "-m", "tests.analytics.ingest_process", "0"]
    worker = subprocess.run(command, env=store_environment(), capture_output=True, text=True, check=True)
    assert InboxReport.objects.count() == 0
    assert table.objects.count() == count
    print(worker.stdout)
    assert int(worker.stdout.split()[-1]) < WORKER_MAX_KB
