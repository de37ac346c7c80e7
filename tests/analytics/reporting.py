"""Reports for tests: a body is what its parser is to say, packed. And what the tables then hold, by names."""

import hashlib
from collections import Counter
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec
from django.db import connection, transaction

from analytics import services
from analytics.histograms import TIME, from_pairs, pack, unpack
from analytics.models import App, ErrorKind, InboxReport, ReportKind, Source
from analytics.observations import Call, Observed, Parsed, Report, Request, SeenError, Traffic
from analytics.rollup.filing import file_observed
from analytics.rollup.ingesting import ingest_reports
from analytics.rollup.judging import quarter_of
from analytics.rollup.partitioning import making_partitions
from tests.cast import BY, Tenant

NOW = datetime(2026, 6, 15, 12, 7, 30, tzinfo=UTC)
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)


def new_app(tenant: Tenant, name: str = "Shop") -> App:
    return services.create_app(tenant.account, by=BY, name=name)


# --- what is observed ---------------------------------------------------------------------------------------------
def call(path: str = "/orders", method: str = "GET", status: int = 200, consumer: str | None = None) -> Call:
    return Call(method, path, status, consumer)


def traffic(requests: int = 1, *, at: datetime = NOW, of: Call | None = None, **other: Any) -> Traffic:
    """Each request took 10 ms, unless `durations` says otherwise."""
    given: dict[str, Any] = {"source": Source.METRIC, "durations": from_pairs([(0.01, requests)], TIME)} | other
    return Traffic(at=at, call=of or call(), requests=requests, **given)


def request(number: int = 1, *, at: datetime = NOW, of: Call | None = None, **other: Any) -> Request:
    """Equal numbers (and times) are one request."""
    given: dict[str, Any] = {"request_size_bytes": 10, "response_size_bytes": 20, "response_time_ms": 30} | other
    return Request(UUID(int=number), at, of or call(), "https://shop.example/orders", **given)


def error(count: int, *, at: datetime = NOW, trace: str = "first", consumer: str | None = None) -> SeenError:
    return SeenError(at, ErrorKind.SERVER, "GET", "/boom", consumer, "ValueError", "kaboom", count, stacktrace=trace)


def observed(*items: Traffic, environment: str = "prod", instance: str = "one", **other: Any) -> Observed:
    return Observed(environment, instance, traffic=list(items), **other)


def file(app: App, *said: Observed, now: datetime = NOW) -> Counter[str]:
    """As a fold does: in a transaction, again when partitions were lacking."""
    return making_partitions(lambda: _file(app, said, now))


# --- reports ------------------------------------------------------------------------------------------------------
def body(*said: Observed, nonce: int = 0, dropped: dict[str, int] | None = None) -> bytes:
    """Equal ones are one report, sent again; the nonce makes them two."""
    return msgspec.msgpack.encode([nonce, list(said), dropped or {}])


def parse(report: Report) -> Parsed:
    told = tuple[int, list[Observed], Counter[str]]
    _, said, dropped = msgspec.msgpack.decode(report.body, type=told, dec_hook=_unpacked)
    return Parsed(hashlib.sha256(report.body).digest(), said, dropped)


def receive(app: App, *bodies: bytes, received_at: datetime = NOW, **other: Any) -> list[InboxReport]:
    given: dict[str, Any] = {"kind": ReportKind.SYNC, "environment": "prod"} | other
    return [InboxReport.objects.create(app=app, body=each, received_at=received_at, **given) for each in bodies]


def ingest(now: datetime = NOW, **other: Any) -> int:
    return ingest_reports(parse=other.get("parse", parse), now=lambda: now, for_s=other.get("for_s", 60.0))


# --- what the tables hold -----------------------------------------------------------------------------------------
Amounts = tuple[int, int, int, tuple[int, ...]]
QUARTERS = """
SELECT q.app_id, e.name, p.method, p.path, status_code, coalesce(c.identifier, ''), source, quarter,
       requests, bytes_received, bytes_sent, durations
  FROM analytics_trafficquarter AS q JOIN analytics_environment AS e ON e.id = environment_id
  JOIN analytics_endpoint AS p ON p.id = endpoint_id LEFT JOIN analytics_consumer AS c ON c.id = consumer_id
"""
AGREE = """
WITH reckoned AS (
  SELECT app_id, date_bin('15 minutes', minute, 'epoch') AS quarter, environment_id, endpoint_id, status_code,
         {consumer} source, sum(requests)::bigint AS requests, sum(bytes_received)::bigint AS bytes_received,
         sum(bytes_sent)::bigint AS bytes_sent, {histograms}
    FROM analytics_trafficminute GROUP BY {places}),
kept AS (SELECT app_id, quarter, environment_id, endpoint_id, status_code, {consumer} source, requests,
                bytes_received, bytes_sent, {kept} FROM {table})
(SELECT * FROM reckoned EXCEPT SELECT * FROM kept) UNION ALL (SELECT * FROM kept EXCEPT SELECT * FROM reckoned)
"""
ENVIRONMENTS_DIFFER = """
WITH reckoned AS (
  SELECT app_id, quarter, environment_id, status_code / 100, source, sum(requests)::bigint,
         sum(bytes_received)::bigint, sum(bytes_sent)::bigint, analytics_sum_histograms(durations)
    FROM analytics_trafficquartertotal GROUP BY 1, 2, 3, 4, 5),
kept AS (SELECT app_id, quarter, environment_id, status_class, source, requests, bytes_received, bytes_sent, durations
           FROM analytics_environmentquarter)
(SELECT * FROM reckoned EXCEPT SELECT * FROM kept) UNION ALL (SELECT * FROM kept EXCEPT SELECT * FROM reckoned)
"""


def rows(query: str, *parameters: object) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(query, parameters)  # type: ignore[arg-type]
        return list(cursor.fetchall())


def filed() -> dict[tuple[Any, ...], Amounts]:
    """All traffic on file, by the names of what it is of. The four tables agree, or it is an error."""
    assert_the_tables_agree()
    return {row[:8]: (*row[8:11], tuple(row[11])) for row in rows(QUARTERS)}


def told(app: App, said: Iterable[Observed]) -> dict[tuple[Any, ...], Amounts]:
    """What `filed` is to say of these observations, each counted once."""
    sums: dict[tuple[Any, ...], Amounts] = {}
    for each in said:
        for item in each.traffic:
            of = item.call
            names = app.pk, each.environment, of.method, of.path, of.status_code, of.consumer or ""
            place = (*names, item.source.value, quarter_of(item.at))
            requests, received, sent, durations = sums.get(place, (0, 0, 0, ()))
            merged = unpack([*durations, *pack(item.durations)])
            amounts = requests + item.requests, received + item.bytes_received, sent + item.bytes_sent
            sums[place] = (*amounts, tuple(pack(merged)))
    return sums


def assert_the_tables_agree() -> None:
    """Quarter hours, their totals and environments' sums are what the journal says, to the last bucket."""
    quarters = AGREE.format(
        table="analytics_trafficquarter",
        consumer="consumer_id,",
        histograms="analytics_sum_histograms(durations) AS durations",
        kept="durations",
        places="1, 2, 3, 4, 5, 6, 7",
    )
    sizes = "durations", "request_sizes", "response_sizes"
    totals = AGREE.format(
        table="analytics_trafficquartertotal",
        consumer="",
        histograms=", ".join(f"analytics_sum_histograms({each}) AS {each}" for each in sizes),
        kept=", ".join(sizes),
        places="1, 2, 3, 4, 5, 6",
    )
    assert rows(quarters) == []
    assert rows(totals) == []
    assert rows(ENVIRONMENTS_DIFFER) == []


def _unpacked(kind: type, value: Any) -> Any:
    """Counters are packed as dicts; what may be anything is that already."""
    return value if kind is object else Counter(value)


def _file(app: App, said: tuple[Observed, ...], now: datetime) -> Counter[str]:
    with transaction.atomic():
        return file_observed(app, said, now=now)
