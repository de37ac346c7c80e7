"""What reports and decisions leave in the tables, written straight into them: for tests of whatever reads it."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

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
}
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

    @property
    def columns(self) -> dict[str, Any]:
        return {
            "requests": self.requests,
            "bytes_received": self.bytes_received,
            "bytes_sent": self.bytes_sent,
            "durations": pack(self.durations),
        }


def file_traffic(traffic: Iterable[Traffic]) -> None:
    """Into both tables of quarter hours. Give all of a quarter hour at once: it adds to nothing that was filed."""
    by_consumer: defaultdict[Any, Sums] = defaultdict(Sums)
    totals: defaultdict[Any, Sums] = defaultdict(Sums)
    for each in traffic:
        by_consumer[*each.names, ("consumer_id", each.consumer.pk if each.consumer else 0)].add(each)
        totals[each.names].add(each)
    file_rows(TrafficQuarter(**dict(names), **sums.columns) for names, sums in by_consumer.items())
    file_rows(TrafficQuarterTotal(**dict(names), **sums.columns) for names, sums in totals.items())


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
