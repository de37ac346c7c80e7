"""A past that never was: request logs and traffic in any number, written by PostgreSQL itself, to measure and look at.

Everything follows from row numbers and hashes, so that the same arguments make the same past.
"""

from collections.abc import Callable, Iterable, Iterator
from datetime import datetime, timedelta
from typing import Final, NamedTuple

from django.db import connection, transaction

from analytics.models import App, Consumer, Endpoint, Environment, RequestSource, Source
from analytics.partitions import QUARTERS, REQUESTS
from keys.partitions import Partitions

DAY: Final = timedelta(days=1)
CONSUMERS_IN_A_QUARTER: Final = 4
DETAILS_EVERY: Final = 10
RARE_EVERY: Final = 10_000  # so many requests for one of the rare environment, which has no traffic
Progress = Callable[[int], None]
Told = dict[str, int | str | list[int]]

REQUESTS_OF_A_DAY = """
INSERT INTO analytics_requestlog (app_id, at, uuid, environment_id, endpoint_id, consumer_id, source, status_code, url,
                                  request_size_bytes, response_size_bytes, response_time_ms, client_ip, country)
SELECT %(app)s, %(day)s::timestamptz + n * (interval '1 day' / %(number)s),
       md5(%(app)s || ' ' || %(day)s || ' ' || n)::uuid,
       CASE WHEN n %% %(rare_every)s = 0 THEN %(rare_environment)s ELSE %(environment)s END,
       (%(endpoints)s::bigint[])[1 + hash %% %(endpoint_count)s],
       (%(consumers)s::bigint[])[1 + (hash / 64) %% %(consumer_count)s], %(source)s,
       CASE WHEN hash %% 50 = 0 THEN 500 WHEN hash %% 20 = 0 THEN 404 WHEN hash %% 10 = 0 THEN 201 ELSE 200 END,
       'https://shop.example.com/things/' || hash, hash %% 900, hash %% 20000, 1 + hash %% 400,
       '203.0.113.10', 'DE'
  FROM (SELECT n, abs(hashint8(n + %(salt)s))::bigint AS hash FROM generate_series(0, %(number)s - 1) AS n) AS numbered
"""
DETAILS_OF_A_DAY = """
INSERT INTO analytics_requestdetail (app_id, at, uuid, request_headers, response_headers, request_body, response_body,
                                     server_span_id)
SELECT app_id, at, uuid, '[["content-type","application/json"],["user-agent","shop/1.0"]]',
       '[["content-type","application/json"]]', '{"item":"tea"}', '{"ok":true}', ''
  FROM analytics_requestlog
 WHERE app_id = %(app)s AND at >= %(day)s AND at < %(day)s::timestamptz + interval '1 day'
   AND response_time_ms %% %(every)s = 0
"""
QUARTERS_OF_A_DAY = """
INSERT INTO analytics_trafficquarter (app_id, quarter, environment_id, endpoint_id, status_code, consumer_id, source,
                                      requests, bytes_received, bytes_sent, durations)
SELECT %(app)s, %(day)s::timestamptz + quarter * interval '15 minutes', %(environment)s, endpoint_id, 200,
       (%(consumers)s::bigint[])[1 + abs(hashint8(quarter * 100000 + number * 10 + place + %(salt)s))::bigint
                                     %% (%(consumer_count)s / %(places)s) * %(places)s + place],
       %(source)s, 1 + quarter %% 7 + number %% 3, 100 + quarter, 1000 + number * 10,
       ARRAY[((1024 - 40 + number %% 16)::bigint << 48) + 1 + quarter %% 7 + number %% 3]
  FROM generate_series(0, 95) AS quarter, unnest(%(endpoints)s::bigint[]) WITH ORDINALITY AS e (endpoint_id, number),
       generate_series(0, %(places)s - 1) AS place
"""
TOTALS_OF_A_DAY = """
INSERT INTO analytics_trafficquartertotal (app_id, quarter, environment_id, endpoint_id, status_code, source,
                                           requests, bytes_received, bytes_sent, durations,
                                           request_sizes, response_sizes)
SELECT app_id, quarter, environment_id, endpoint_id, status_code, source,
       sum(requests), sum(bytes_received), sum(bytes_sent), analytics_sum_histograms(durations), '{}', '{}'
  FROM analytics_trafficquarter
 WHERE app_id = %(app)s AND quarter >= %(day)s AND quarter < %(day)s::timestamptz + interval '1 day'
 GROUP BY 1, 2, 3, 4, 5, 6
"""
ENVIRONMENTS_OF_A_DAY = """
INSERT INTO analytics_environmentquarter (app_id, quarter, environment_id, status_class, source, requests,
                                          bytes_received, bytes_sent, durations)
SELECT app_id, quarter, environment_id, status_code / 100, source, sum(requests), sum(bytes_received), sum(bytes_sent),
       analytics_sum_histograms(durations)
  FROM analytics_trafficquartertotal
 WHERE app_id = %(app)s AND quarter >= %(day)s AND quarter < %(day)s::timestamptz + interval '1 day'
 GROUP BY 1, 2, 3, 4, 5
"""


class Cast(NamedTuple):
    """Whom the past is about."""

    environment_id: int
    rare_environment_id: int
    endpoint_ids: list[int]
    consumer_ids: list[int]


def prepare(app: App, *, endpoints: int, consumers: int) -> Cast:
    """The environments, endpoints and consumers that the past speaks of; made where they are not there yet."""
    environment, _ = Environment.objects.get_or_create(app=app, name="prod")
    rare, _ = Environment.objects.get_or_create(app=app, name="staging")
    Endpoint.objects.bulk_create(
        [Endpoint(app=app, method="GET", path=f"/things/{number}/{{id}}") for number in range(endpoints)],
        ignore_conflicts=True,
    )
    Consumer.objects.bulk_create(
        [Consumer(app=app, identifier=f"customer-{number}") for number in range(consumers)], ignore_conflicts=True
    )
    return Cast(
        environment.pk,
        rare.pk,
        list(Endpoint.objects.filter(app=app).order_by("id").values_list("id", flat=True)[:endpoints]),
        list(Consumer.objects.filter(app=app).order_by("id").values_list("id", flat=True)[:consumers]),
    )


def write_requests(app: App, cast: Cast, days: list[datetime], *, number: int, progress: Progress) -> None:
    """So many request logs, less what the division by days leaves over; every tenth with headers and bodies."""
    for day in days:
        _make(REQUESTS, day)
        told = _told(app, cast, day) | {
            "number": number // len(days),
            "source": RequestSource.DECISION.value,
            "every": DETAILS_EVERY,
        }
        _run((REQUESTS_OF_A_DAY, DETAILS_OF_A_DAY), told)
        progress(1)


def write_traffic(app: App, cast: Cast, days: list[datetime], *, progress: Progress) -> None:
    """Traffic of each endpoint in each quarter hour of these days, by a few of the consumers each time."""
    for day in days:
        _make(QUARTERS, day)
        told = _told(app, cast, day) | {"places": CONSUMERS_IN_A_QUARTER, "source": Source.DECISION.value}
        _run((QUARTERS_OF_A_DAY, TOTALS_OF_A_DAY, ENVIRONMENTS_OF_A_DAY), told)
        progress(1)


def days_before(now: datetime, number: int) -> Iterator[datetime]:
    """The midnights (UTC) of so many days, the last of them yesterday's, oldest first."""
    today = now.replace(hour=0, minute=0, second=0, microsecond=0)
    return (today - back * DAY for back in range(number, 0, -1))


def _told(app: App, cast: Cast, day: datetime) -> Told:
    return {
        "app": app.pk,
        "day": day.isoformat(),
        "salt": day.toordinal() * 10_000_000,
        "environment": cast.environment_id,
        "rare_environment": cast.rare_environment_id,
        "rare_every": RARE_EVERY,
        "endpoints": cast.endpoint_ids,
        "endpoint_count": len(cast.endpoint_ids),
        "consumers": cast.consumer_ids,
        "consumer_count": len(cast.consumer_ids),
    }


def _make(tables: Iterable[Partitions], day: datetime) -> None:
    for table in tables:
        table.make(table.lacking(day, day))


def _run(statements: tuple[str, ...], told: Told) -> None:
    with transaction.atomic(), connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement, told)
