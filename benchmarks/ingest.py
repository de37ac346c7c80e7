"""`make bench-ingest`: how many reports a second are accepted, and what that costs validate on the same event loop.

Limitly runs as `make run` starts it, its worker counting meanwhile. Reports are OTLP in JSON, 2 to 3 KB each, of 250
apps and all three signals, so that none meets its rate; no two are the same, and all are of now, so that none is cheap
to count. Rounds are interleaved and the median is told: validate alone, reports alone, validate beside reports that
come at a pace, validate beside as many as come through. At the end the inbox must have had every one.
"""

import argparse
import json
import secrets
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from benchmarks import stack
from benchmarks.stack import Call, Load
from limitly_site.keeper import hold_stores
from limitly_site.stores import embedded_stores

KEYS, APPS, SPANS, LINES, POINTS = 1_000, 250, 6, 8, 8
UNIQUE = "#" * 16  # digits that wrk puts there, other ones in each call
REPORTERS, PAUSE_MS = 8, 10
ALONE, REPORTS, PACED, FLOODED = "validate", "reports", "validate beside a pace", "validate beside all"


@dataclass(frozen=True, slots=True)
class Round:
    """What was seen of either kind of call, where it took part."""

    validate: Load | None = None
    reports: Load | None = None


def main() -> None:
    options = _options()
    stack.require_wrk()
    folder = Path(tempfile.mkdtemp(prefix="limitly-bench-"))
    folder.chmod(0o755)
    try:
        with hold_stores(embedded_stores(folder)), ExitStack() as started:
            bench = Bench(stack.make_run(started, folder, LIMITLY_INGEST_BACKLOG_BYTES=str(1024**4)), folder, options)
            rounds = bench.rounds()
            _tell(rounds, options)
            bench.tell_inbox(rounds)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=int, default=10, help="of each round (default: 10)")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--connections", type=int, default=32)
    return parser.parse_args()


class Bench:
    def __init__(self, url: str, folder: Path, options: argparse.Namespace) -> None:
        self._url = url
        self._options = options
        told = json.loads(stack.manage("shell", "-c", PREPARE.format(keys=KEYS, apps=APPS)))
        self._bucket = told["bucket"]
        access_key = f"Bearer {told['access_key']}"
        body = {"endpoint": "/orders/17", "method": "GET"}
        validates = [
            Call("/v1/validate", "Authorization", access_key, json.dumps(body | {"api_key": key}))
            for key in told["keys"]
        ]
        reports = [
            Call(f"/v1/{signal}", "Authorization", f"Bearer {token}", json.dumps(report(time.time_ns())))
            for token in told["tokens"]
            for signal, report in SIGNALS.items()
        ]
        self._validates = stack.write_calls(folder / "validate.calls", validates)
        self._reports = stack.write_calls(folder / "reports.calls", reports)

    def rounds(self) -> dict[str, list[Round]]:
        """The first of each warms up; its reports are told too, for the inbox."""
        rounds: dict[str, list[Round]] = {name: [] for name in (ALONE, REPORTS, PACED, FLOODED)}
        for number in range(self._options.rounds + 1):
            for name, seen in rounds.items():
                seen.append(self._round(name))
                _tell_round(f"round {number or 'warm-up'}: {name}", seen[-1])
                stack.manage("shell", "-c", EMPTY)
                stack.settle(self._bucket)
        return rounds

    def _round(self, name: str) -> Round:
        most = self._options.connections
        if name == ALONE:
            return Round(validate=self._load(self._validates, most))
        if name == REPORTS:
            return Round(reports=self._load(self._reports, most))
        with ThreadPoolExecutor(2) as both:
            pause_ms = PAUSE_MS if name == PACED else 0
            reports = both.submit(self._load, self._reports, REPORTERS, pause_ms)
            validate = both.submit(self._load, self._validates, most)
            return Round(validate.result(), reports.result())

    def _load(self, calls: Path, connections: int, pause_ms: int = 0) -> Load:
        seconds = self._options.seconds
        return stack.load(self._url, calls, connections=connections, seconds=seconds, pause_ms=pause_ms)

    def tell_inbox(self, rounds: dict[str, list[Round]]) -> None:
        """By its sequence, since rounds are cleared away: wrk may leave without the last answers, never with more."""
        answered = sum(each.reports.requests for seen in rounds.values() for each in seen if each.reports)
        filed = int(stack.manage("shell", "-c", FILED))
        print(f"\ninbox: {filed} reports, {answered} of them answered")
        if filed < answered:
            sys.exit("The inbox lacks reports.")


PREPARE = """
import json
from accounts import services as accounts
from accounts.actors import Actor
from analytics import services as analytics
from keys import services as keys
by = Actor.command("benchmark")
account = accounts.create_account("Benchmark", by=by)
access_key = accounts.create_access_key(account, name="benchmark", by=by, requests_per_minute=None)
issued = [keys.issue_api_key(account, by=by, name=f"key {{n}}").secret for n in range({keys})]
apps = [analytics.create_app(account, by=by, name=f"app {{n}}") for n in range({apps})]
tokens = [analytics.create_write_token(app, name="benchmark", by=by).secret for app in apps]
told = {{"access_key": access_key.secret, "keys": issued, "tokens": tokens, "bucket": account.bucket}}
print(json.dumps(told))
"""
EMPTY = """
from django.db import connection
connection.cursor().execute("TRUNCATE analytics_inboxreport")
"""
FILED = """
from django.db import connection
cursor = connection.cursor()
cursor.execute("SELECT last_value FROM pg_sequences WHERE sequencename = 'analytics_inboxreport_id_seq'")
print(cursor.fetchone()[0])
"""


Told = dict[str, object]


def _traces(at_ns: int) -> Told:
    """Spans of some requests, as an SDK would send them."""
    spans = [
        {
            "traceId": secrets.token_hex(8) + UNIQUE,
            "spanId": secrets.token_hex(8),
            "name": "GET /orders/{order_id}",
            "kind": 2,
            "startTimeUnixNano": str(at_ns),
            "endTimeUnixNano": str(at_ns + 12_000_000),
            "attributes": _attributes(_call() | {"url.path": "/orders/17", "server.address": "shop.example.com"}),
        }
        for _ in range(SPANS)
    ]
    return {"resourceSpans": [_resource() | {"scopeSpans": [{"spans": spans}]}]}


def _logs(at_ns: int) -> Told:
    """Lines that were logged while requests were answered."""
    records = [
        {
            "timeUnixNano": str(at_ns),
            "severityText": "INFO",
            "body": {"stringValue": "order accepted"},
            "traceId": secrets.token_hex(8) + UNIQUE,
            "spanId": secrets.token_hex(8),
            "attributes": _attributes({"code.file.path": "/srv/shop/orders.py", "code.function.name": "accept"}),
        }
        for _ in range(LINES)
    ]
    return {"resourceLogs": [_resource() | {"scopeLogs": [{"scope": {"name": "shop.orders"}, "logRecords": records}]}]}


def _metrics(at_ns: int) -> Told:
    """What consumers called in some seconds."""
    points = [
        {
            "startTimeUnixNano": str(at_ns),
            "timeUnixNano": str(at_ns),
            "count": "3",
            "sum": 0.036,
            "scale": 3,
            "positive": {"offset": -52, "bucketCounts": ["1", "2"]},
            "attributes": _attributes(_call()),
        }
        for _ in range(POINTS)
    ]
    duration = {"name": "http.server.request.duration", "unit": "s"}
    metric = duration | {"exponentialHistogram": {"aggregationTemporality": 1, "dataPoints": points}}
    return {"resourceMetrics": [_resource() | {"scopeMetrics": [{"scope": {"name": "shop"}, "metrics": [metric]}]}]}


def _resource() -> Told:
    named = {"service.name": "shop", "service.instance.id": "one", "process.runtime.description": UNIQUE}
    return {"resource": {"attributes": _attributes(named)}}


def _call() -> dict[str, str]:
    return {
        "http.request.method": "GET",
        "http.route": "/orders/{order_id}",
        "http.response.status_code": "200",
        "apitally.consumer.identifier": f"customer-{secrets.randbelow(1_000)}",
    }


def _attributes(told: dict[str, str]) -> list[Told]:
    """What is a number is told as one."""
    return [
        {"key": name, "value": {"intValue": value} if value.isdigit() else {"stringValue": value}}
        for name, value in told.items()
    ]


SIGNALS: dict[str, Callable[[int], Told]] = {"traces": _traces, "logs": _logs, "metrics": _metrics}


def _tell_round(name: str, seen: Round) -> None:
    for kind, load in (("validate", seen.validate), ("reports", seen.reports)):
        if load is not None:
            figures = f"{load.per_second:8,.0f}/s  p50 {load.p50_ms:6.2f} ms  p99 {load.p99_ms:6.2f} ms"
            print(f"{name:<40} {kind:<9} {figures}  failed {load.failed}", file=sys.stderr)
            if load.failed:
                sys.exit("Calls were refused or failed: the figure would mean nothing.")


def _tell(rounds: dict[str, list[Round]], options: argparse.Namespace) -> None:
    print(f"{options.connections} connections, median of {options.rounds} × {options.seconds} s\n")
    print(f"{'':<24} {'validate/s':>11} {'p50 ms':>8} {'p99 ms':>8} {'reports/s':>11} {'p50 ms':>8} {'p99 ms':>8}")
    for name, seen in rounds.items():
        kinds = ([each.validate for each in seen[1:]], [each.reports for each in seen[1:]])
        print(f"{name:<24} {' '.join(_medians(loads) for loads in kinds)}")
    print(f"\nvalidate's p99: {', '.join(_p99(name, rounds[name][1:]) for name in (ALONE, PACED, FLOODED))}")


def _p99(name: str, rounds: list[Round]) -> str:
    p99_ms = statistics.median(each.validate.p99_ms for each in rounds if each.validate is not None)
    return f"{p99_ms:.1f} ms {name.removeprefix(ALONE).strip() or 'without reports'}"


def _medians(loads: list[Load | None]) -> str:
    there = [load for load in loads if load is not None]
    if not there:
        return " " * 29
    speed = statistics.median(load.per_second for load in there)
    p50, p99 = (statistics.median(getattr(load, figure) for load in there) for figure in ("p50_ms", "p99_ms"))
    return f"{speed:>11,.0f} {p50:>8.2f} {p99:>8.2f}"


if __name__ == "__main__":
    main()
