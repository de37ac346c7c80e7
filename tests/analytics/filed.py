"""What reports and decisions leave in the tables, written straight into them: for tests of whatever reads it."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import pytest
from django.db import connection, models
from psycopg.types.json import Jsonb

from analytics import services
from analytics.histograms import TIME, Histogram, from_pairs, pack
from analytics.models import (
    App,
    AppLog,
    Consumer,
    Endpoint,
    Environment,
    EnvironmentQuarter,
    Record,
    RequestDetail,
    RequestLog,
    RequestSource,
    Source,
    Span,
    TrafficMinute,
    TrafficQuarter,
    TrafficQuarterTotal,
    TrafficSource,
)
from analytics.partitions import ALL
from tests.cast import BY, Tenant

LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)
TIME_COLUMNS: dict[type[models.Model], str] = {
    RequestLog: "at",
    RequestDetail: "at",
    Span: "at",
    AppLog: "at",
    TrafficMinute: "minute",
    TrafficQuarter: "quarter",
    TrafficQuarterTotal: "quarter",
    EnvironmentQuarter: "quarter",
}
ADD_TO_ENVIRONMENT = """
INSERT INTO analytics_environmentquarter AS kept
VALUES (%(app_id)s, %(quarter)s, %(environment_id)s, %(status_class)s, %(source)s, %(requests)s, %(bytes_received)s,
        %(bytes_sent)s, %(durations)s)
ON CONFLICT (app_id, quarter, environment_id, status_class, source) DO UPDATE
  SET requests = kept.requests + excluded.requests, bytes_received = kept.bytes_received + excluded.bytes_received,
      bytes_sent = kept.bytes_sent + excluded.bytes_sent,
      durations = analytics_merge_histograms(kept.durations, excluded.durations)
"""
PARTITIONS = {partitions.table: partitions for partitions in ALL}


def observe(tenant: Tenant, *, app: App | None = None, name: str = "prod") -> Environment:
    """An environment (of a new app, unless one is given) whose metrics and request logs have long been in force."""
    app = app or services.create_app(tenant.account, by=BY, name="Shop", framework="FastAPI")
    environment = Environment.objects.create(app=app, name=name)
    switch(environment, Record.TRAFFIC, Source.METRIC, since=LONG_AGO)
    switch(environment, Record.REQUEST_LOG, RequestSource.REPORT, since=LONG_AGO)
    return environment


def switch(environment: Environment, record: Record, source: Source | RequestSource, *, since: datetime) -> None:
    """From then on readers take this source (until the next row)."""
    TrafficSource.objects.create(environment=environment, record=record, source=source.value, since=since)


def endpoint(app: App, route: str, **fields: Any) -> Endpoint:
    """`GET /users`; `GET` alone is what matched no route."""
    method, _, path = route.partition(" ")
    return Endpoint.objects.create(app=app, method=method, path=path, **fields)


def request(environment: Environment, of: Endpoint, at: datetime, **fields: Any) -> RequestLog:
    """One that answered 200, unless told otherwise; for file_rows."""
    usual: dict[str, Any] = {
        "uuid": uuid4(),
        "source": RequestSource.REPORT,
        "status_code": 200,
        "url": f"https://shop.example.com{of.path}",
        "request_size_bytes": 0,
        "response_size_bytes": 66,
        "response_time_ms": 12,
    }
    names = {"app_id": environment.app_id, "environment_id": environment.pk, "endpoint_id": of.pk, "at": at}
    return RequestLog(**usual | names | fields)


def detail(of: RequestLog, **fields: Any) -> RequestDetail:
    """Of a request that was a span of its own trace, unless told otherwise."""
    usual: dict[str, Any] = {
        "request_headers": [],
        "response_headers": [],
        "trace_id": uuid4(),
        "server_span_id": f"{of.uuid.int:032x}"[:16],
    }
    return RequestDetail(**{"app_id": of.app_id, "at": of.at, "uuid": of.uuid} | usual | fields)


def span(of: RequestDetail, span_id: str, parent: str = "", **fields: Any) -> Span:
    """A span of the request's trace that began with the request and took 50 ms, unless told otherwise."""
    start_ns = int(of.at.timestamp() * 1000) * 1_000_000
    usual: dict[str, Any] = {"name": span_id, "kind": "INTERNAL", "status": "UNSET", "attributes": {}}
    usual |= {"start_ns": start_ns, "end_ns": start_ns + 50_000_000, "parent_span_id": parent}
    return Span(**{"app_id": of.app_id, "at": of.at, "trace_id": of.trace_id, "span_id": span_id} | usual | fields)


def line(of: RequestDetail, message: str, **fields: Any) -> AppLog:
    """That the application logged while it answered the request, of unknown level and place unless told otherwise."""
    usual: dict[str, Any] = {"id": uuid4(), "at": of.at, "server_span_id": of.server_span_id, "attributes": {}}
    usual |= {"level": "", "logger": "", "file": ""}
    return AppLog(**{"app_id": of.app_id, "trace_id": of.trace_id, "message": message} | usual | fields)


def file_whole_request(environment: Environment, at: datetime) -> RequestLog:
    """One of which everything was captured, with a span below its own and a log line."""
    row = request(environment, endpoint(environment.app, "POST /orders/{id}"), at, status_code=500)
    captured = detail(
        row,
        request_headers=[["content-type", "application/json"]],
        response_headers=[["x", "1"], ["x", "2"]],
        request_body='{"qty": 1}',
        response_body="",
        exception_type="KeyError",
        exception_message="'qty'",
        exception_stacktrace="Traceback …",
    )
    server = captured.server_span_id
    file_rows([row])
    file_rows([captured])
    file_rows(
        [
            span(captured, server, kind="SERVER", name="POST /orders/{id}", status="ERROR", attributes={"rows": 12}),
            span(captured, "00000000000000bb", server, name="SELECT"),
        ]
    )
    file_rows([line(captured, "about to fail", level="INFO", logger="shop.orders", file="orders.py", line=42)])
    return row


@dataclass(frozen=True, slots=True)
class Traffic:
    """Requests of one quarter hour; `seconds` says how often which duration was measured."""

    environment: Environment
    endpoint: Endpoint
    quarter: datetime
    requests: int = 1
    consumer: Consumer | None = None
    status_code: int = 200
    source: Source = Source.METRIC
    bytes_received: int = 0
    bytes_sent: int = 0
    seconds: dict[float, int] = field(default_factory=dict)

    @property
    def names(self) -> tuple[tuple[str, Any], ...]:
        """What both tables of quarter hours name alike."""
        return (
            ("app_id", self.environment.app_id),
            ("quarter", self.quarter),
            ("environment_id", self.environment.pk),
            ("endpoint_id", self.endpoint.pk),
            ("status_code", self.status_code),
            ("source", self.source.value),
        )


@dataclass(slots=True)
class Sums:
    requests: int = 0
    bytes_received: int = 0
    bytes_sent: int = 0
    durations: Histogram = field(default_factory=Histogram)

    def add(self, traffic: Traffic) -> None:
        self.requests += traffic.requests
        self.bytes_received += traffic.bytes_received
        self.bytes_sent += traffic.bytes_sent
        self.durations.merge(from_pairs(traffic.seconds.items(), TIME))

    def merge(self, other: "Sums") -> None:
        self.requests += other.requests
        self.bytes_received += other.bytes_received
        self.bytes_sent += other.bytes_sent
        self.durations.merge(other.durations)

    @property
    def columns(self) -> dict[str, Any]:
        return {
            "requests": self.requests,
            "bytes_received": self.bytes_received,
            "bytes_sent": self.bytes_sent,
            "durations": pack(self.durations),
        }


def file_traffic(traffic: Iterable[Traffic]) -> None:
    """Into all tables of quarter hours. Give all of a quarter hour at once: it adds to nothing that was filed."""
    by_consumer: defaultdict[Any, Sums] = defaultdict(Sums)
    totals: defaultdict[Any, Sums] = defaultdict(Sums)
    for each in traffic:
        by_consumer[*each.names, ("consumer_id", each.consumer.pk if each.consumer else 0)].add(each)
        totals[each.names].add(each)
    file_rows(TrafficQuarter(**dict(names), **sums.columns) for names, sums in by_consumer.items())
    file_rows(TrafficQuarterTotal(**dict(names), **sums.columns) for names, sums in totals.items())
    _add_to_environments(list(_of_environments(totals)))


def _of_environments(totals: "dict[Any, Sums]") -> Iterator[dict[str, Any]]:
    """What the totals add up to, whatever endpoint: columns of EnvironmentQuarter."""
    whole: defaultdict[Any, Sums] = defaultdict(Sums)
    for names, sums in totals.items():
        named = dict(names)
        status_class = named.pop("status_code") // 100
        del named["endpoint_id"]
        whole[*named.items(), ("status_class", status_class)].merge(sums)
    for key, sums in whole.items():
        amounts = {
            name: value if name == "durations" else min(value, 2**63 - 1) for name, value in sums.columns.items()
        }
        yield dict(key) | amounts


def _add_to_environments(rows: list[dict[str, Any]]) -> None:
    table = PARTITIONS["analytics_environmentquarter"]
    table.make({table.span.start_of(row["quarter"]) for row in rows})
    with connection.cursor() as cursor:
        for row in rows:
            cursor.execute(ADD_TO_ENVIRONMENT, row)


def file_rows(rows: Iterable[models.Model]) -> None:
    """By COPY, rows of one table of observations; makes the partitions that it lacks."""
    rows = list(rows)
    if not rows:
        return
    model = type(rows[0])
    fields = [each for each in model._meta.concrete_fields if each.column and hasattr(rows[0], each.attname)]
    PARTITIONS[model._meta.db_table].make(_starts(rows))
    columns = ", ".join(str(each.column) for each in fields)
    with connection.cursor() as cursor, cursor.copy(f"COPY {model._meta.db_table} ({columns}) FROM STDIN") as copy:
        for row in rows:
            copy.write_row([_value(each, getattr(row, each.attname)) for each in fields])


def _starts(rows: list[models.Model]) -> set[datetime]:
    table = PARTITIONS[type(rows[0])._meta.db_table]
    return {table.span.start_of(getattr(row, TIME_COLUMNS[type(row)])) for row in rows}


def _value(of: "models.Field[Any, Any]", value: Any) -> Any:
    return Jsonb(value) if isinstance(of, models.JSONField) else value


def stop_clock(monkeypatch: pytest.MonkeyPatch, now: datetime) -> None:
    """The API's views read this time."""
    monkeypatch.setattr("analytics.api.views.timezone", SimpleNamespace(now=lambda: now))
