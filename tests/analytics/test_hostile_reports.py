"""Whatever hurts, sent to a running server and read by a running worker beside what is well: ruling 9's status at once,
then a rejection with its reason or items left out and counted; nothing beside it is lost, nothing swells."""

import gzip
import json
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple
from uuid import uuid4

import httpx
import pytest
from django.db.models import Sum

from analytics.models import DroppedItems, InboxReport, RejectedReport, TrafficMinute
from analytics.reports.decoding import DECODED_MAX_BYTES
from tests.analytics.otlp_bodies import (
    CALL,
    exponential,
    fine,
    json_of,
    metrics,
    sized,
    span,
    traces,
)
from tests.analytics.reporters import JSON, PROTOBUF, Reporter
from tests.analytics.watching import Watch, resident_bytes
from tests.live_server import LiveServer, store_environment

MIB = 1024 * 1024
WORKER_MAX_KB = 768 * 1024
NOW_S = int(time.time())
YEAR_2100_S = 4_102_444_800
NAME = "x" * 10_000_000
EMPTY_MEMBERS = gzip.compress(b"") * 200_000
DURATION = "http.server.request.duration"
ROW = {"method": "GET", "path": "/orders", "status_code": 200, "request_count": 3}


class Hostile(NamedTuple):
    """A body, how it is answered, and what becomes of it: a rejection's reason, or items that are left out, and how
    many requests of it count."""

    path: str
    body: bytes
    status: int = 0  # 0: accepted
    reason: str = ""
    dropped: Mapping[str, int] = MappingProxyType({})
    counts: int = 0
    content_type: str = PROTOBUF


def sync(*rows: object, timestamp: float = NOW_S) -> bytes:
    told = {"message_uuid": str(uuid4()), "instance_uuid": "one", "timestamp": timestamp, "requests": rows}
    return json.dumps(told).encode()


def line(**more: object) -> bytes:
    request = {"timestamp": NOW_S, "method": "GET", "path": "/orders", "url": "http://a.b/orders"}
    told = {"uuid": str(uuid4()), "request": request, "response": {"status_code": 200}}
    return json.dumps({**told, **more}).encode() + b"\n"


def server_span(attributes: dict[str, Any] | None = None, *, start_s: int = NOW_S, **fields: Any) -> Any:
    """Of a request; each is another one."""
    start = {"start_time_unix_nano": start_s * 10**9, "end_time_unix_nano": start_s * 10**9 + 10**7}
    return span(CALL | (attributes or {}), span_id=os.urandom(8), **start, **fields)


def spans(*told: Any) -> bytes:
    return bytes(traces(*told).SerializeToString())


def points(**fields: Any) -> Any:
    clock: dict[str, Any] = {"start_time_unix_nano": NOW_S * 10**9, "time_unix_nano": NOW_S * 10**9}
    return metrics(exponential(DURATION, fine([2], **clock), fine([1], **clock, **fields)))


def halves(body: bytes) -> bytes:
    """As two members of gzip."""
    middle = len(body) // 2
    return gzip.compress(body[:middle]) + gzip.compress(body[middle:])


def at_once() -> dict[str, Hostile]:
    """Refused before anything is read."""
    return {
        "hub: too large": Hostile("sync", b"x" * (5 * MIB + 1), status=422),
        "otlp: too large": Hostile("/v1/traces", b"x" * (4 * MIB + 1), status=413),
        "otlp: of another type": Hostile("/v1/traces", b"x", status=415, content_type="text/plain"),
    }


def as_a_whole() -> dict[str, Hostile]:
    """Accepted, and rejected by the worker."""
    bomb, deep = gzip.compress(bytes(200 * MIB), 1), b'{"resourceSpans":' + b"[" * 100_000
    truncated = gzip.compress(line())[:-5], gzip.compress(spans(server_span()))[:-5]
    return {
        "hub: bomb": Hostile("log", bomb, reason="too_large"),
        "hub: truncated gzip": Hostile("log", truncated[0], reason="bad_gzip"),
        "hub: members without content": Hostile("sync", EMPTY_MEMBERS, reason="bad_json"),
        "hub: protobuf": Hostile("sync", spans(server_span()), reason="bad_json"),
        "hub: deep": Hostile("startup", deep, reason="too_deep"),
        "hub: a time that is NaN": Hostile("sync", sync(ROW, timestamp=float("nan")), reason="unknown_shape"),
        "hub: 1970": Hostile("sync", sync(ROW, timestamp=0), reason="too_late"),
        "hub: a name of 10 MB": Hostile("sync", gzip.compress(sync(ROW | {"path": NAME})), reason="too_large"),
        "otlp: bomb": Hostile("/v1/traces", bomb, reason="too_large"),
        "otlp: truncated gzip": Hostile("/v1/traces", truncated[1], reason="bad_gzip"),
        "otlp: wrong protobuf": Hostile("/v1/logs", b"\x0a\x7fx", reason="bad_protobuf"),
        "otlp: JSON for protobuf": Hostile("/v1/metrics", json_of(points()), reason="bad_protobuf"),
        "otlp: protobuf for JSON": Hostile("/v1/traces", spans(server_span()), reason="bad_json", content_type=JSON),
        "otlp: deep": Hostile("/v1/traces", deep, reason="too_deep", content_type=JSON),
    }


def item_by_item() -> dict[str, Hostile]:
    """Accepted, and all that can be counted is."""
    crowd = {str(number): 1 for number in range(1_000_000)}
    crowded_line = line(spans=[{"span_id": "a" * 16, "attributes": crowd}])
    crowded_span = server_span().SerializeToString() + b"\x4a\x00" * 1_000_000  # attributes of no name
    crowded = sized(1, sized(2, sized(2, crowded_span) + sized(2, server_span().SerializeToString())))
    named = spans(server_span(name=NAME), server_span())
    negative = json_of(points()).replace(b'"count":"1"', b'"count":"-1"')
    unclean = server_span({"http.route": "/a\0", "user.id": "\0", "\0": "\0"})
    too_large, bad_point = {"too_large": 1}, {"bad_point": 1}
    return {
        "hub: members": Hostile("sync", halves(sync(ROW)), counts=3),
        "hub: negative": Hostile(
            "sync", sync(ROW, ROW | {"request_count": -1}), dropped={"negative_count": 1}, counts=3
        ),
        "hub: 2100": Hostile("sync", sync(ROW, timestamp=YEAR_2100_S), counts=3),
        "hub: NUL": Hostile("sync", sync(ROW | {"path": "/a\0b", "consumer": "\0"}), counts=3),
        "hub: a million attributes": Hostile("log", gzip.compress(line() + crowded_line), dropped=too_large),
        "otlp: members": Hostile("/v1/traces", halves(spans(server_span())), counts=1),
        "otlp: many members": Hostile("/v1/traces", EMPTY_MEMBERS + gzip.compress(spans(server_span())), counts=1),
        "otlp: a million attributes": Hostile("/v1/traces", gzip.compress(crowded), dropped=too_large, counts=1),
        "otlp: a name of 10 MB": Hostile("/v1/traces", gzip.compress(named), dropped=too_large, counts=1),
        "otlp: NaN": Hostile("/v1/metrics", points(sum=float("nan")).SerializeToString(), dropped=bad_point, counts=2),
        "otlp: negative": Hostile("/v1/metrics", negative, dropped=bad_point, counts=2, content_type=JSON),
        "otlp: 1970": Hostile(
            "/v1/traces", spans(server_span(start_s=0), server_span()), dropped={"too_late": 1}, counts=1
        ),
        "otlp: 2100": Hostile("/v1/traces", spans(server_span(start_s=YEAR_2100_S)), counts=1),
        "otlp: NUL": Hostile("/v1/traces", spans(unclean), counts=1),
    }


def _post(server: LiveServer, shop: Reporter, path: str, body: bytes, content_type: str = PROTOBUF) -> int:
    if path.startswith("/v1/"):
        return httpx.post(server.url + path, headers=shop.headers(content_type), content=body, timeout=30).status_code
    return httpx.post(server.url + shop.hub(path), content=body, timeout=30).status_code


def _work() -> int:
    """The most kilobytes that a worker held while it counted what waits."""
    command = [sys.executable, "-m", "tests.analytics.ingest_process", "0", "--real"]
    done = subprocess.run(command, env=store_environment(), capture_output=True, text=True, check=True)
    return int(done.stdout.split()[-1])


def test_hostile_reports_cost_nothing_beside_themselves(server: LiveServer, shop: Reporter) -> None:
    """One after the other, a good one of either generation behind each."""
    hostile = at_once() | as_a_whole() | item_by_item()
    for _ in range(5):
        httpx.get(f"{server.url}/healthz")
    before = resident_bytes(server)
    with Watch(server) as watch:
        for name, each in hostile.items():
            accepted = 200 if each.path.startswith("/v1/") else 202
            assert _post(server, shop, each.path, each.body, each.content_type) == (each.status or accepted), name
            assert _post(server, shop, "sync", sync(ROW)) == 202
            assert _post(server, shop, "/v1/traces", gzip.compress(spans(server_span()))) == 200
    assert watch.most_bytes - before < 64 * MIB

    assert _work() < WORKER_MAX_KB
    assert InboxReport.objects.count() == 0
    rejected = Counter(RejectedReport.objects.values_list("reason", flat=True))
    assert rejected == Counter(each.reason for each in hostile.values() if each.reason)
    assert _dropped() == sum((Counter(each.dropped) for each in hostile.values()), Counter())
    counted = TrafficMinute.objects.aggregate(requests=Sum("requests"))["requests"]
    assert counted == sum(each.counts + 3 + 1 for each in hostile.values())


def _dropped() -> Counter[str]:
    dropped = Counter[str]()
    for reason, items in DroppedItems.objects.values_list("reason", "items"):
        dropped[reason] += items
    return dropped


# --- crowded ------------------------------------------------------------------------------------------------------
def _wide_points() -> bytes:
    """With as many buckets as a point may have, 14 MB of them."""
    clock: dict[str, Any] = {"start_time_unix_nano": NOW_S * 10**9, "time_unix_nano": NOW_S * 10**9}
    told = (fine([1] * 4_096, CALL | {"http.route": f"/{number}"}, **clock) for number in range(3_400))
    return bytes(metrics(exponential(DURATION, *told)).SerializeToString())


def _json_spans() -> bytes:
    """15 MB of them."""
    return json_of(traces(*(server_span() for _ in range(40_000))))


@pytest.mark.parametrize(
    ("crowd", "path", "content_type", "requests"),
    [(_wide_points, "/v1/metrics", PROTOBUF, 3_400 * 4_096), (_json_spans, "/v1/traces", JSON, 40_000)],
)
def test_a_crowded_report_is_counted_within_bounds(
    server: LiveServer, shop: Reporter, crowd: Callable[[], bytes], path: str, content_type: str, requests: int
) -> None:
    whole = crowd()
    assert DECODED_MAX_BYTES / 2 < len(whole) <= DECODED_MAX_BYTES
    assert _post(server, shop, path, gzip.compress(whole, 1), content_type) == 200
    assert _work() < WORKER_MAX_KB
    assert (InboxReport.objects.count(), RejectedReport.objects.count(), _dropped()) == (0, 0, Counter())
    assert TrafficMinute.objects.aggregate(requests=Sum("requests")) == {"requests": requests}
