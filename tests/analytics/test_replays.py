"""What official SDKs really sent, ten times, in any order, by workers at once that are killed: no number changes."""

import random
import signal
import time
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import partial
from typing import Any

import pytest
from django.db.models import Model

from analytics.models import (
    App,
    AppLog,
    Consumer,
    ConsumerGroup,
    Endpoint,
    Environment,
    EnvironmentQuarter,
    ErrorGroup,
    InboxReport,
    Instance,
    RejectedReport,
    RequestDetail,
    RequestLog,
    ResourceMinute,
    SourceQuarter,
    Span,
    TrafficQuarter,
    TrafficQuarterTotal,
    TrafficSource,
)
from analytics.reports.parsing import parse_report
from tests.analytics.hub_reports import RECEIPTS, captured
from tests.analytics.reporting import assert_the_tables_agree, ingest, new_app
from tests.analytics.test_ingest_races import in_a_fork, in_threads
from tests.analytics.test_otlp_captures import CAPTURES, PARSERS, RECEIVED
from tests.cast import Tenant

NOW = datetime(2026, 11, 26, 12, 15, tzinfo=UTC)
TIMES, ROUNDS = 10, 8
TABLES: tuple[type[Model], ...] = (
    RequestLog, RequestDetail, Span, AppLog, TrafficQuarter, TrafficQuarterTotal, EnvironmentQuarter, ResourceMinute,
    Endpoint, Consumer, ErrorGroup, Environment, Instance, SourceQuarter, TrafficSource,
)  # fmt: skip
# What two apps that were told the same differ in. A startup tells no time: it is of the receipt that was counted, and
# one of them was received twice.
OWN = {"id", "pk", "app_id", "uuid", "request_uuid", "created_at", "fingerprint", "told_at", "started_at"}
count = partial(ingest, now=NOW, parse=parse_report)


def _reports(app: App) -> list[InboxReport]:
    return [*_hub_reports(app), *_otlp_reports(app)]


def _hub_reports(app: App) -> Iterator[InboxReport]:
    for name in RECEIPTS:
        told = captured(name)
        fields = ("kind", "environment", "message_id", "received_at", "body")
        yield InboxReport(app=app, **{field: getattr(told, field) for field in fields})


def _otlp_reports(app: App) -> Iterator[InboxReport]:
    for folder, received_at in RECEIVED.items():
        for file in sorted((CAPTURES / folder).glob("*.bin")):
            kind, _ = PARSERS[file.stem.split("-")[1]]
            yield InboxReport(app=app, kind=kind, received_at=received_at, body=file.read_bytes())


def _everything(app: App) -> dict[str, Counter[str]]:
    """All rows that tell of an app, what they point to by name."""
    names = {
        "environment_id": dict(Environment.objects.values_list("pk", "name")),
        "endpoint_id": {each.pk: str(each) for each in Endpoint.objects.all()},
        "consumer_id": dict(Consumer.objects.values_list("pk", "identifier")),
        "group_id": dict(ConsumerGroup.objects.values_list("pk", "name")),
        "instance_id": dict(Instance.objects.values_list("pk", "identifier")),
    }
    environments = app.environments.values("pk")
    told = {}
    for model in TABLES:
        is_of_app = any(field.attname == "app_id" for field in model._meta.concrete_fields)
        rows = model._default_manager.filter(
            **{"app_id": app.pk} if is_of_app else {"environment_id__in": environments}
        )
        told[model.__name__] = Counter(_shown(row, names) for row in rows.values())
    return told


def _shown(row: dict[str, Any], names: dict[str, dict[int, str]]) -> str:
    return str({
        field: names[field].get(value) if field in names else value for field, value in row.items() if field not in OWN
    })  # fmt: skip


def _count_the_rest() -> None:
    """A killed worker's locks end when PostgreSQL notices."""
    for _ in range(300):
        count()
        if not InboxReport.objects.exists():
            return
        time.sleep(0.1)
    raise TimeoutError("something holds the reports")


def _assert_nothing_waits() -> None:
    assert_the_tables_agree()
    assert (InboxReport.objects.count(), RejectedReport.objects.count()) == (0, 0)


@pytest.fixture
def once(alice: Tenant) -> App:
    """An app of which every capture was counted, in its order, by one worker."""
    app = new_app(alice)
    for report in _reports(app):
        report.save()
    count()
    _assert_nothing_waits()
    return app


def test_captures_of_every_kind_are_among_them(once: App) -> None:
    """Else what follows would hold of nothing."""
    told = _everything(once)
    assert {name for name, rows in told.items() if not rows} == set()
    assert sum(row.requests for row in TrafficQuarter.objects.all()) > 50


def test_replayed_ten_times_nothing_changes(once: App) -> None:
    before = _everything(once)
    reports = _reports(once) * TIMES
    InboxReport.objects.bulk_create(random.sample(reports, len(reports)))
    in_threads(count, count, count)
    count()
    _assert_nothing_waits()
    assert _everything(once) == before


def test_ten_of_each_in_any_order_by_killed_workers_at_once_are_one_of_each(once: App, bob: Tenant) -> None:
    app, killed = new_app(bob), 0
    reports = [report for _ in range(TIMES) for report in _reports(app)]
    random.shuffle(reports)
    for start in range(ROUNDS):
        InboxReport.objects.bulk_create(reports[start::ROUNDS])
        # What was counted before costs seven statements.
        killed += in_a_fork(random.randint(2, 40 if start < ROUNDS // 2 else 7), work=count) == signal.SIGKILL
        in_threads(count, count)
        _count_the_rest()
    _assert_nothing_waits()
    assert killed >= ROUNDS // 2
    assert _everything(app) == _everything(once)
