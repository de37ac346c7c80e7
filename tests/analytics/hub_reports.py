"""Reports of hub v2 for tests: captures of official SDKs, and bodies made by hand."""

import gzip
import json
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import msgspec

from analytics.histograms import SIZE, TIME, Histogram, from_pairs
from analytics.models import ReportKind
from analytics.observations import Observed, Parsed, Report
from analytics.reports.parsing import parse_report

CAPTURES = Path(__file__).parent / "captures"
NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
SECONDS = NOW.timestamp()
UUID_TEXT = "6dc9daf4-8204-4545-a4c6-c6b716d89914"
KINDS = {
    "startup": ReportKind.STARTUP,
    "sync": ReportKind.SYNC,
    "log": ReportKind.LOG,
    "logpush": ReportKind.LOGPUSH,
}


class Receipt(NamedTuple):
    """Of a capture: when it was received (Unix seconds), and what its URL said."""

    seconds: float
    environment: str
    file_uuid: str = ""


RECEIPTS = {
    "py-0.25.1-fastapi/001-startup": Receipt(1795366182.170, "dev"),
    "py-0.25.1-fastapi/002-sync": Receipt(1795366182.170, "dev"),
    "py-0.25.1-fastapi/003-sync": Receipt(1795366192.240, "dev"),
    "py-0.25.1-fastapi/004-log": Receipt(1795366192.248, "dev", "5d28729d-31be-4db2-ae7a-f8cd3a8cd993"),
    "py-0.25.1-fastapi/005-sync": Receipt(1795366202.009, "dev"),
    "py-0.25.1-django/001-startup": Receipt(1795366978.748, "prod"),
    "py-0.25.1-django/003-sync": Receipt(1795366988.802, "prod"),
    "py-0.25.1-django/004-log": Receipt(1795366988.804, "prod", "a62ceeab-b129-4887-92c7-d14d7fb2ec38"),
    "js-0.25.8-express/002-startup": Receipt(1795367767.992, "dev"),
    "js-0.25.8-express/003-sync": Receipt(1795367777.982, "dev"),
    "js-0.25.8-express/004-log": Receipt(1795367777.986, "dev", "e6ecc364-0017-40c2-bb52-6fcab5ce5fee"),
    "js-0.25.8-express-otel/003-sync": Receipt(1795367992.561, "dev"),
    "js-0.25.8-express-otel/004-log": Receipt(1795367992.564, "dev", "f04492e7-d1be-46d0-801c-387a60836ee6"),
    "py-0.25.1-fastapi-hub-failures/002-startup": Receipt(1795367982.265, "dev"),
    "py-0.25.1-fastapi-hub-failures/003-startup": Receipt(1795367982.975, "dev"),
    "py-0.25.1-fastapi-hub-failures/004-sync": Receipt(1795367993.015, "dev"),
    "py-0.25.1-fastapi-hub-failures/005-log": Receipt(1795367993.017, "dev", "382f72d1-4313-42d7-bad5-af7765fcb4cd"),
    "py-0.25.1-fastapi-hub-failures/006-sync": Receipt(1795367993.988, "dev"),
    "py-0.25.1-fastapi-hub-failures/009-sync": Receipt(1795368004.078, "dev"),
}


def captured(name: str) -> Report:
    """What an official SDK sent, with the time at which it arrived."""
    receipt = RECEIPTS[name]
    return report(
        name.rpartition("-")[2],
        (CAPTURES / f"{name}.bin").read_bytes(),
        message_id=receipt.file_uuid,
        environment=receipt.environment,
        received_at=datetime.fromtimestamp(receipt.seconds, UTC),
    )


def report(
    kind: str, body: object, *, message_id: str = "", environment: str = "dev", received_at: datetime = NOW
) -> Report:
    """Of bytes as they are, of anything else as JSON."""
    return Report(
        id=1,
        app_id=1,
        kind=KINDS[kind],
        environment=environment,
        message_id=message_id,
        is_json=False,
        received_at=received_at,
        body=body if isinstance(body, bytes) else json.dumps(body).encode(),
    )


def parsed(kind: str, body: object) -> Parsed:
    return parse_report(report(kind, body))


def observed(kind: str, body: object) -> Observed:
    """Of a report that names one instance and loses nothing."""
    found = parsed(kind, body)
    assert found.dropped == Counter()
    (only,) = found.observed
    return only


def log_body(*lines: object) -> bytes:
    """As SDKs send it: gzip of JSON lines."""
    return gzip.compress(b"".join(json.dumps(line).encode() + b"\n" for line in lines))


def line(request: object = None, response: object = None, **more: object) -> dict[str, object]:
    """A line of a log; `request` and `response` add to what every one has."""
    return {
        "uuid": UUID_TEXT,
        "request": {"timestamp": SECONDS, "method": "GET", "url": "http://a.b/", **as_dict(request)},
        "response": {"status_code": 200, "response_time": 0.012, **as_dict(response)},
        **more,
    }


def as_dict(value: object) -> dict[str, object]:
    return value if isinstance(value, dict) else {}


def times(*ms_and_count: tuple[int, int]) -> Histogram:
    return from_pairs([((ms + 5) / 1000, count) for ms, count in ms_and_count], TIME)


def sizes(*kb_and_count: tuple[int, int]) -> Histogram:
    return from_pairs([((kb + 0.5) * 1000, count) for kb, count in kb_and_count], SIZE)


def values_in(value: object) -> Iterator[object]:
    """Every plain value within what was parsed, names of dictionaries too."""
    if isinstance(value, msgspec.Struct):
        yield from values_in([getattr(value, name) for name in value.__struct_fields__])
    elif isinstance(value, Histogram):
        yield from values_in([value.zeros, *value.buckets.values()])
    elif isinstance(value, dict):
        yield from values_in([*value.keys(), *value.values()])
    elif isinstance(value, list | tuple):
        for each in value:
            yield from values_in(each)
    else:
        yield value
