"""A MINIMAL STAND-IN, to be discarded when the real roll-up is merged: it files what decisions are told by, no more.

Same signature, same tables; row by row, without limits, histograms, quarters and totals.
"""

from collections import Counter
from collections.abc import Sequence
from datetime import datetime

from django.db import connection

from analytics.countries import country_of
from analytics.models import (
    App,
    Consumer,
    Endpoint,
    Environment,
    Record,
    RequestLog,
    SourceQuarter,
    TrafficMinute,
)
from analytics.observations import Call, Observed
from analytics.partitions import REQUEST_LOGS, TRAFFIC_MINUTES
from analytics.rollup.announcing import announce
from analytics.rollup.judging import judge, quarter_of
from analytics.rollup.partitioning import LacksPartitions


def file_observed(app: App, observed: Sequence[Observed], *, now: datetime) -> Counter[str]:
    changed: list[tuple[int, Record, datetime]] = []
    _require_partitions(observed)
    for each in observed:
        environment, _ = Environment.objects.get_or_create(app=app, name=each.environment)
        for told in each.consumers:
            Consumer.objects.update_or_create(
                app=app, identifier=told.identifier, defaults={"name": told.name} if told.name else {}
            )
        named = [Call(told.method, told.path, 0) for startup in each.startups for told in startup.endpoints]
        announce(_endpoint(app, call).pk for call in named)
        _file_traffic(app, environment, each, changed)
        _file_requests(app, environment, each, changed)
    judge(changed, now=now)
    return Counter()


def _require_partitions(observed: Sequence[Observed]) -> None:
    lacking = {
        TRAFFIC_MINUTES: TRAFFIC_MINUTES.lacking_of(told.at for each in observed for told in each.traffic),
        REQUEST_LOGS: REQUEST_LOGS.lacking_of(request.at for each in observed for request in each.requests),
    }
    if any(lacking.values()):
        raise LacksPartitions(lacking)


def _file_traffic(
    app: App, environment: Environment, observed: Observed, changed: list[tuple[int, Record, datetime]]
) -> None:
    for told in observed.traffic:
        with connection.cursor() as cursor:
            cursor.execute("SELECT nextval('analytics_trafficminute_id')")
            (number,) = cursor.fetchone()
        TrafficMinute.objects.create(
            app_id=app.pk,
            minute=told.at.replace(second=0, microsecond=0),
            id=number,
            environment_id=environment.pk,
            endpoint_id=_endpoint(app, told.call).pk,
            status_code=told.call.status_code,
            consumer_id=_consumer_id(app, told.call) or 0,
            source=told.source,
            requests=told.requests,
            bytes_received=told.bytes_received,
            bytes_sent=told.bytes_sent,
        )
        _speak(environment, Record.TRAFFIC, told.at, told.source, changed)


def _file_requests(
    app: App, environment: Environment, observed: Observed, changed: list[tuple[int, Record, datetime]]
) -> None:
    for request in observed.requests:
        RequestLog.objects.create(
            uuid=request.uuid,
            app_id=app.pk,
            at=request.at,
            environment_id=environment.pk,
            endpoint_id=_endpoint(app, request.call).pk,
            consumer_id=_consumer_id(app, request.call),
            source=request.source,
            status_code=request.call.status_code,
            url=request.url,
            request_size_bytes=request.request_size_bytes,
            response_size_bytes=request.response_size_bytes,
            response_time_ms=request.response_time_ms,
            client_ip=request.client_ip,
            country=country_of(request.client_ip),
        )
        _speak(environment, Record.REQUEST_LOG, request.at, request.source, changed)


def _endpoint(app: App, call: Call) -> Endpoint:
    return Endpoint.objects.get_or_create(app=app, method=call.method, path=call.path)[0]


def _consumer_id(app: App, call: Call) -> int | None:
    if call.consumer is None:
        return None
    return Consumer.objects.get_or_create(app=app, identifier=call.consumer)[0].pk


def _speak(
    environment: Environment,
    record: Record,
    at: datetime,
    source: int,
    changed: list[tuple[int, Record, datetime]],
) -> None:
    place = {"environment_id": environment.pk, "record": record, "quarter": quarter_of(at), "source": source}
    if not SourceQuarter.objects.filter(**place, has_requests=True).update(has_requests=True):
        SourceQuarter.objects.get_or_create(**place, defaults={"has_requests": True})
        changed.append((environment.pk, record, quarter_of(at)))
