"""What observations become beside traffic: request logs, errors, resources, instances, and the facts about sources."""

from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import pytest
from django.conf import LazySettings
from django.db import DataError

from analytics import models
from analytics.models import ErrorKind, Record, RequestSource, Source
from analytics.observations import (
    Detail,
    EndpointTold,
    LogLine,
    Resources,
    SeenError,
    SeenException,
    SeenSpan,
    Startup,
)
from tests.analytics.mmdb import write_mmdb
from tests.analytics.reporting import HOUR, MINUTE, NOW, call, error, file, filed, new_app, observed, request, traffic
from tests.cast import Tenant

QUARTER = datetime(2026, 6, 15, 12, 0, tzinfo=UTC)


# --- single requests ----------------------------------------------------------------------------------------------
def test_a_request_is_logged_with_all_that_was_captured(alice: Tenant) -> None:
    app = new_app(alice)
    trace = UUID(int=7)
    raised = SeenException("ValueError", "kaboom\t\\N", "Traceback …\nValueError", "s1")
    detail = Detail((("a", 'b"\\'),), (("set-cookie", "x"),), "", "body\n\\.\n{}", raised, trace, "00f0")
    logged = request(at=NOW, of=call(status=404, consumer="uma"), client_ip="203.0.113.9", detail=detail)
    span = SeenSpan(trace, "00f1", "00f0", "db.query", "INTERNAL", 10**18 + 1, 10**18 + 9, "OK", {"rows": 12})
    line = LogLine(UUID(int=9), NOW, trace, "00f0", "order A1", "INFO", "shop", "/x.py", 41, {"n": 1})
    file(app, observed(requests=[logged], spans=[span], log_lines=[line]))
    row, kept = models.RequestLog.objects.get(), models.RequestDetail.objects.get()
    assert (row.uuid, row.at, row.status_code, row.source) == (logged.uuid, NOW, 404, RequestSource.REPORT)
    assert (row.consumer_id, row.endpoint_id) == (models.Consumer.objects.get().pk, models.Endpoint.objects.get().pk)
    assert (row.request_size_bytes, row.response_time_ms, row.client_ip) == (10, 30, "203.0.113.9")
    assert (kept.request_headers, kept.response_headers) == ([["a", 'b"\\']], [["set-cookie", "x"]])
    assert (kept.request_body, kept.response_body, kept.trace_id) == ("", "body\n\\.\n{}", trace)
    assert (kept.exception_type, kept.exception_message, kept.sentry_event_id) == ("ValueError", "kaboom\t\\N", "s1")
    assert (models.Span.objects.get().start_ns, models.Span.objects.get().attributes) == (10**18 + 1, {"rows": 12})
    assert (models.AppLog.objects.get().message, models.AppLog.objects.get().attributes) == ("order A1", {"n": 1})


def test_a_request_is_logged_with_the_country_of_its_client(
    alice: Tenant, settings: LazySettings, tmp_path: Path
) -> None:
    settings.LIMITLY_COUNTRY_DATABASE = str(write_mmdb(tmp_path / "c.mmdb", {"81.2.69.0/24": "GB"}))
    logged = [request(1, client_ip="81.2.69.160"), request(2, client_ip="10.0.0.1"), request(3, client_ip=None)]
    file(new_app(alice), observed(requests=logged))
    assert list(models.RequestLog.objects.order_by("uuid").values_list("country", flat=True)) == ["GB", "", ""]


def test_a_request_told_by_two_reports_is_one(alice: Tenant) -> None:
    app = new_app(alice)
    span = SeenSpan(UUID(int=7), "00f1", "", "q", "INTERNAL", 10**18, 10**18, "UNSET", {})
    line = LogLine(UUID(int=9), NOW, UUID(int=7), "", "hello")
    first = observed(requests=[request(1), request(1)], spans=[span, span], log_lines=[line, line])
    again = observed(requests=[request(1), request(2)], spans=[span], log_lines=[line])
    file(app, first)
    file(app, again)
    assert (models.RequestLog.objects.count(), models.Span.objects.count(), models.AppLog.objects.count()) == (2, 1, 1)


def test_values_that_postgresql_refuses_are_a_data_error_as_of_any_statement(alice: Tenant) -> None:
    with pytest.raises(DataError):
        file(new_app(alice), observed(requests=[request(of=call(status=2**40))]))


# --- errors, resources, instances ---------------------------------------------------------------------------------
def test_errors_that_are_the_same_are_one_group_with_the_newest_trace(alice: Tenant) -> None:
    app = new_app(alice)
    file(app, observed(errors=[error(2, trace="newest", consumer="uma"), error(1, at=NOW - HOUR)]))
    file(app, observed(errors=[error(3, at=NOW - MINUTE, trace="older", consumer="uma")]))
    group = models.ErrorGroup.objects.get()
    quarters = models.ErrorQuarter.objects.order_by("quarter").values_list("quarter", "consumer_id", "occurrences")
    assert (group.occurrences, group.stacktrace) == (6, "newest")
    assert (group.first_seen_at, group.last_seen_at) == (NOW - HOUR, NOW)
    assert list(quarters) == [(QUARTER - HOUR, 0, 1), (QUARTER, models.Consumer.objects.get().pk, 5)]


def test_an_app_has_room_for_so_many_groups_of_errors(alice: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("analytics.rollup.errors.GROUPS_MAX", 2)
    app = new_app(alice)
    errors = [SeenError(NOW, ErrorKind.VALIDATION, "GET", f"/{n}", None, "t", "m", 1) for n in range(3)]
    assert file(app, observed(errors=errors)) == {"error_group_limit": 1}
    assert file(app, observed(errors=errors)) == {"error_group_limit": 1}
    assert list(models.ErrorGroup.objects.values_list("occurrences", flat=True)) == [2, 2]


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 2, 0)])
def test_of_a_minute_the_last_word_on_resources_stays(alice: Tenant, order: tuple[int, ...]) -> None:
    app = new_app(alice)
    words = [Resources(NOW.replace(second=number * 10), float(number), number * 1000) for number in range(3)]
    for number in order:
        file(app, observed(resources=[words[number]]))
    row = models.ResourceMinute.objects.get()
    assert (row.cpu_percent, row.memory_bytes, row.instance_id) == (2.0, 2000, models.Instance.objects.get().pk)


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_the_newest_startup_says_what_an_instance_and_an_endpoint_are(alice: Tenant, order: tuple[int, int]) -> None:
    app = new_app(alice)
    starts = [
        Startup(
            NOW - HOUR, "python:flask", {"app": "1"}, (EndpointTold("GET", "/a", "Old"), EndpointTold("GET", "/b"))
        ),
        Startup(NOW, "python:django", {"app": "2"}, (EndpointTold("GET", "/a", "New", "words"),)),
    ]
    for number in order:
        file(app, observed(startups=[starts[number]]))
    instance = models.Instance.objects.get()
    assert (instance.client, instance.versions, instance.started_at) == ("python:django", {"app": "2"}, NOW)
    assert list(models.Endpoint.objects.order_by("path").values_list("path", "summary", "description")) == [
        ("/a", "New", "words"), ("/b", "", ""),
    ]  # fmt: skip
    assert [endpoint.environments.get().name for endpoint in models.Endpoint.objects.all()] == ["prod", "prod"]


def test_of_one_instance_no_request_is_counted_from_two_scopes(alice: Tenant) -> None:
    app = new_app(alice)
    first, own = (traffic(1, scope=scope) for scope in ("opentelemetry.flask", "apitally"))
    other = traffic(5, scope="opentelemetry.wsgi")
    assert file(app, observed(other, instance="two"), observed(first, other)) == {"other_scope": 1}
    assert file(app, observed(own, first)) == {"other_scope": 1}
    assert file(app, observed(first)) == {"other_scope": 1}
    assert file(app, observed(first, own, instance="three")) == {"other_scope": 1}
    assert sum(amounts[0] for amounts in filed().values()) == 5 + 1 + 1 + 1
    scopes = models.Instance.objects.order_by("identifier").values_list("identifier", "metric_scope")
    assert dict(scopes) == {"one": "apitally", "three": "apitally", "two": "opentelemetry.wsgi"}


# --- sources ------------------------------------------------------------------------------------------------------
def test_sources_are_noted_by_quarter_hour_and_heartbeats_are_no_requests(alice: Tenant) -> None:
    app = new_app(alice)
    alive = [(Source.METRIC, NOW - HOUR), (Source.METRIC, NOW)]
    file(app, observed(traffic(1), alive=alive, requests=[request()]))
    file(app, observed(traffic(1, at=NOW - HOUR), environment="dev"))
    facts = models.SourceQuarter.objects.order_by("environment_id", "record", "quarter")
    prod, dev = models.Environment.objects.order_by("-name")
    assert list(facts.values_list("environment_id", "record", "source", "quarter", "has_requests")) == sorted([
        (prod.pk, Record.TRAFFIC, Source.METRIC, QUARTER - HOUR, False),
        (prod.pk, Record.TRAFFIC, Source.METRIC, QUARTER, True),
        (prod.pk, Record.REQUEST_LOG, RequestSource.REPORT, QUARTER, True),
        (dev.pk, Record.TRAFFIC, Source.METRIC, QUARTER - HOUR, True),
    ])  # fmt: skip
    assert (prod.last_sync_at, dev.last_sync_at) == (NOW, None)


def test_environments_are_judged_anew_from_the_earliest_quarter_hour_that_changed(
    alice: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    judged: list[object] = []
    monkeypatch.setattr(
        "analytics.rollup.source_facts.judge", lambda changed, *, now: judged.append((list(changed), now))
    )
    app = new_app(alice)
    said = observed(traffic(1), traffic(1, at=NOW - HOUR), requests=[request()])
    file(app, said)
    file(app, said, observed(alive=[(Source.METRIC, NOW)]))
    prod = models.Environment.objects.get().pk
    assert judged == [([(prod, Record.TRAFFIC, QUARTER - HOUR), (prod, Record.REQUEST_LOG, QUARTER)], NOW)]
