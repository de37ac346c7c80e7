"""The one process of `make bench-rollup`: makes the bodies, counts the inbox, and COPYs what came of it once more."""

import argparse
import gzip
import json
import random
import statistics
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import django

django.setup()

from django.db import connection
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, ArrayValue, KeyValue
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from accounts import services as accounts
from accounts.actors import Actor
from analytics import services as analytics
from analytics.models import App, InboxReport, ReportKind
from analytics.partitions import ALL, REQUESTS
from analytics.reports.parsing import parse_report
from analytics.rollup.ingesting import ingest_reports

BY = Actor.command("benchmark")
# Of ROWS the first tells how many requests there were. The rest is emptied so that each round begins alike.
ROWS = [table.table for table in REQUESTS]
OTHERS = ["analytics_inboxreport", "analytics_reportidentity", "analytics_sourcequarter", "analytics_rejectedreport"]
RESOURCE = {
    "service.name": "shop",
    "service.instance.id": "7f0c0a52-4f3b-4b4e-9d53-0d4d9f0f8f11",
    "deployment.environment.name": "prod",
    "telemetry.distro.name": "apitally-py",
    "telemetry.distro.version": "1.0.0",
}
HEADERS_SENT = {
    "accept": "application/json",
    "accept-encoding": "gzip, deflate, br",
    "authorization": "[REDACTED]",
    "content-type": "application/json",
    "host": "shop.example.com",
    "user-agent": "shop-client/3.1 (linux; x86_64)",
    "x-request-id": "2c9d3a56-75a8-4a8d-8c0a-bc1ad0a3b6f4",
}
HEADERS_ANSWERED = {"content-type": "application/json", "content-length": "412", "cache-control": "no-store"}


class Round(NamedTuple):
    """Request logs a second, to the last commit."""

    counted: float
    copied: float


def main() -> None:
    options = _options()
    app = analytics.create_app(accounts.create_account("Benchmark", by=BY), by=BY, name="shop")
    traces, logs = _bodies(options)
    requests = options.bodies * (options.spans // (1 + options.children))
    wire_bytes = sum(len(body) for body in traces + logs)
    print(f"{requests:,} requests in {len(traces) + len(logs)} reports, {wire_bytes / 2**20:.1f} MiB", file=sys.stderr)
    rounds = []
    for number in range(options.rounds + 1):
        found = _round(app, traces, logs, requests)
        name = f"round {number}" if number else "warm-up"
        print(f"{name:<8} worker {found.counted:>9,.0f}/s   COPY {found.copied:>9,.0f}/s", file=sys.stderr)
        rounds.append(found)
    _tell(rounds[1:])


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    for name in ("bodies", "spans", "children", "lines", "rounds"):
        parser.add_argument(f"--{name}", type=int)
    return parser.parse_args()


def _tell(rounds: list[Round]) -> None:
    counted, copied = (statistics.median(figures) for figures in zip(*rounds, strict=True))
    ratios = [each.counted / each.copied for each in rounds]
    print(f"\nrequest logs/s, median of {len(rounds)}: worker {counted:,.0f}, COPY of the same rows {copied:,.0f}")
    print(f"ratio {statistics.median(ratios):.3f} ({min(ratios):.3f} to {max(ratios):.3f}; the aim is 0.1)")


# --- a round ------------------------------------------------------------------------------------------------------
def _round(app: App, traces: list[bytes], logs: list[bytes], requests: int) -> Round:
    _run(f"TRUNCATE {', '.join([*OTHERS, *(table.table for table in ALL)])}")
    _receive(app, ReportKind.TRACES, traces)
    _receive(app, ReportKind.LOGS, logs)
    _run("CHECKPOINT")
    began = time.perf_counter()
    done = ingest_reports(parse=parse_report, now=_now, for_s=3_600)
    counted_s = time.perf_counter() - began
    _require(done == len(traces) + len(logs), "reports stayed in the inbox, or came to it")
    _require(_rows(ROWS[0]) == requests, f"{_rows(ROWS[0])} of {requests} requests were committed")
    return Round(requests / counted_s, requests / _copy_again())


def _receive(app: App, kind: ReportKind, bodies: list[bytes]) -> None:
    InboxReport.objects.bulk_create(InboxReport(app=app, kind=kind, received_at=_now(), body=body) for body in bodies)


def _copy_again() -> float:
    """Seconds that COPY takes for the rows on file, in one transaction, into the same tables, emptied."""
    written = {table: _written(table) for table in ROWS}
    numbers = {table: _rows(table) for table in ROWS}
    _run(f"TRUNCATE {', '.join(ROWS)}")
    _run("CHECKPOINT")
    began = time.perf_counter()
    with connection.cursor() as cursor:
        cursor.execute("BEGIN")
        for table, parts in written.items():
            with cursor.copy(f"COPY {table} FROM STDIN") as copy:
                for part in parts:
                    copy.write(part)
        cursor.execute("COMMIT")
    took_s = time.perf_counter() - began
    _require(numbers == {table: _rows(table) for table in ROWS}, "COPY brought other rows")
    return took_s


def _written(table: str) -> list[bytes]:
    with connection.cursor() as cursor, cursor.copy(f"COPY (TABLE {table}) TO STDOUT") as copy:
        return [bytes(part) for part in copy]


def _rows(table: str) -> int:
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT count(*) FROM {table}")  # noqa: S608  # a table of our own
        return int(cursor.fetchone()[0])


def _run(statement: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement)


def _require(holds: bool, otherwise: str) -> None:
    if not holds:
        sys.exit(f"The figure would mean nothing: {otherwise}.")


def _now() -> datetime:
    return datetime.now(UTC)


# --- bodies -------------------------------------------------------------------------------------------------------
def _bodies(options: argparse.Namespace) -> tuple[list[bytes], list[bytes]]:
    """Of traces and of logs, gzipped; their requests lie within the last hour."""
    chance = random.Random(3)
    since = _now() - timedelta(hours=1)
    traces, logs = [], []
    for number in range(options.bodies):
        at_ns = int((since + number * timedelta(hours=1) / options.bodies).timestamp()) * 10**9
        told, said = ExportTraceServiceRequest(), ExportLogsServiceRequest()
        for message in (told.resource_spans.add(), said.resource_logs.add()):
            message.resource.attributes.extend(_attributes(RESOURCE))
        spans = told.resource_spans[0].scope_spans.add()
        spans.scope.name = "apitally"
        lines = said.resource_logs[0].scope_logs.add()
        lines.scope.name = "shop.orders"
        for _ in range(options.spans // (1 + options.children)):
            at_ns += 1_000_000
            request = _request(chance, at_ns)
            spans.spans.append(request)
            spans.spans.extend(_child(chance, request, place) for place in range(options.children))
            lines.log_records.extend(_line(request, place) for place in range(options.lines))
        traces.append(gzip.compress(told.SerializeToString(), 6))
        logs.append(gzip.compress(said.SerializeToString(), 6))
    return traces, logs


def _request(chance: random.Random, at_ns: int) -> Span:
    """A SERVER span of one of fifty endpoints, by one of a thousand consumers."""
    thing, order = chance.randrange(50), chance.randrange(10**6)
    body = {
        "order": order,
        "items": [{"sku": f"A-{n}", "quantity": chance.randrange(9)} for n in range(5)],
        "note": "x" * 80,
    }
    attributes: dict[str, Any] = {
        "http.request.method": "POST",
        "http.route": f"/things/{thing}/orders/{{order_id}}",
        "http.response.status_code": 200 if chance.random() < 0.95 else 500,
        "url.scheme": "https",
        "url.path": f"/things/{thing}/orders/{order}",
        "url.query": "page=2&api_key=abc",
        "server.address": "shop.example.com",
        "client.address": "203.0.113.10",
        "user_agent.original": HEADERS_SENT["user-agent"],
        "network.protocol.version": "1.1",
        "http.request.body.size": 311,
        "http.response.body.size": 412,
        "apitally.consumer.identifier": f"customer-{chance.randrange(1_000)}",
        "apitally.request.body": json.dumps(body),
        "apitally.response.body": json.dumps(body | {"state": "accepted"}),
    }
    attributes |= {f"http.request.header.{name}": [value] for name, value in HEADERS_SENT.items()}
    attributes |= {f"http.response.header.{name}": [value] for name, value in HEADERS_ANSWERED.items()}
    return Span(
        trace_id=chance.randbytes(16),
        span_id=chance.randbytes(8),
        name=f"POST {attributes['http.route']}",
        kind=Span.SPAN_KIND_SERVER,
        start_time_unix_nano=at_ns,
        end_time_unix_nano=at_ns + chance.randrange(1, 400) * 10**6,
        attributes=_attributes(attributes),
    )


def _child(chance: random.Random, request: Span, place: int) -> Span:
    statement = "SELECT * FROM orders WHERE id = %s"
    return Span(
        trace_id=request.trace_id,
        span_id=chance.randbytes(8),
        parent_span_id=request.span_id,
        name="SELECT shop",
        kind=Span.SPAN_KIND_CLIENT,
        start_time_unix_nano=request.start_time_unix_nano + place * 1_000,
        end_time_unix_nano=request.end_time_unix_nano,
        attributes=_attributes({"db.system": "postgresql", "db.name": "shop", "db.statement": statement}),
    )


def _line(request: Span, place: int) -> LogRecord:
    return LogRecord(
        time_unix_nano=request.start_time_unix_nano + place * 1_000,
        severity_number=9,
        severity_text="INFO",
        body=AnyValue(string_value=f"order {place} accepted"),
        attributes=_attributes(
            {
                "code.file.path": "/srv/shop/orders.py",
                "code.line.number": 42,
                "code.function.name": "accept",
                "apitally.request.server_span_id": request.span_id.hex(),
            }
        ),
        trace_id=request.trace_id,
        span_id=request.span_id,
    )


def _attributes(told: dict[str, Any]) -> Iterator[KeyValue]:
    return (KeyValue(key=name, value=_value(value)) for name, value in told.items())


def _value(value: Any) -> AnyValue:
    if isinstance(value, list):
        return AnyValue(array_value=ArrayValue(values=map(_value, value)))
    return AnyValue(int_value=value) if isinstance(value, int) else AnyValue(string_value=value)


if __name__ == "__main__":
    main()
