"""What official SDKs really sent, put into the inbox as of its own receipt, is what the API tells of that day.

JavaScript's SDK, and the runs in which the server failed: bodies that came again must count once.
"""

import gzip
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from django.utils import timezone
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from analytics import services
from analytics.models import App, InboxReport, RejectedReport, ReportKind
from analytics.reports.parsing import parse_report
from analytics.rollup.ingesting import ingest_reports
from tests.analytics.filed import stop_clock
from tests.analytics.hub_reports import CAPTURES, RECEIPTS, captured
from tests.cast import BY, Tenant
from tests.conftest import ApiClient

OTLP_RUN = "py-1.0.0-fastapi-failures"
OTLP_RECEIVED_AT = datetime(2026, 11, 22, 17, 20, tzinfo=UTC)
RANGE = {"start": "2026-11-22T00:00:00Z", "end": "2026-11-23T00:00:00Z"}


@pytest.fixture
def app(alice: Tenant, monkeypatch: pytest.MonkeyPatch) -> App:
    stop_clock(monkeypatch, datetime(2026, 11, 23, tzinfo=UTC))  # what is asked for must still be kept
    return services.create_app(alice.account, by=BY, name="shop")


def _count(times: int = 1) -> None:
    for _ in range(times):
        ingest_reports(parse=parse_report, now=timezone.now, for_s=30)
    assert list(RejectedReport.objects.values_list("reason", "explanation")) == []


def _put(app: App, kind: ReportKind, body: bytes, received_at: datetime, **given: Any) -> None:
    InboxReport.objects.create(app=app, kind=kind, body=body, received_at=received_at, **given)


def _put_hub(app: App, run: str) -> None:
    for name in (name for name in RECEIPTS if name.startswith(f"{run}/")):
        report = captured(name)
        told = {"environment": report.environment, "message_id": report.message_id}
        _put(app, report.kind, report.body, report.received_at, **told)


def _bodies(run: str, kind: str) -> Iterator[bytes]:
    yield from (file.read_bytes() for file in sorted((CAPTURES / run).glob(f"*-{kind}.bin")))


def _requests(api: ApiClient, tenant: Tenant, app: App) -> int:
    path = f"/v1/apps/{app.pk}/traffic"
    return sum(each["requests"] for each in api.get(path, of=tenant, params=RANGE).json()["data"])


def _logged(api: ApiClient, tenant: Tenant, app: App) -> list[dict[str, Any]]:
    path = f"/v1/apps/{app.pk}/request-logs"
    logs: list[dict[str, Any]] = api.get(path, of=tenant, params=RANGE).json()["data"]
    return logs


@pytest.mark.parametrize("run", ["js-0.25.8-express", "js-0.25.8-express-otel", "py-0.25.1-fastapi-hub-failures"])
def test_a_hubs_run_is_counted_as_it_was_told(api: ApiClient, alice: Tenant, app: App, run: str) -> None:
    syncs = {told["message_uuid"]: told for told in map(json.loads, _bodies(run, "sync"))}
    told = sum(each["request_count"] for sync in syncs.values() for each in sync["requests"])
    lines = [json.loads(line) for body in _bodies(run, "log") for line in gzip.decompress(body).splitlines()]
    for _ in range(2):  # what comes again changes nothing
        _put_hub(app, run)
        _count()
        assert _requests(api, alice, app) == told > 0
        assert {each["request_uuid"] for each in _logged(api, alice, app)} == {line["uuid"] for line in lines}


def test_a_run_of_otlp_whose_bodies_came_twice_is_counted_once(api: ApiClient, alice: Tenant, app: App) -> None:
    for kind, name in ((ReportKind.TRACES, "traces"), (ReportKind.METRICS, "metrics")):
        for body in _bodies(OTLP_RUN, name):
            _put(app, kind, body, OTLP_RECEIVED_AT, environment="dev")
    _count()
    spans = {
        (span.trace_id, span.span_id)
        for body in _bodies(OTLP_RUN, "traces")
        for group in ExportTraceServiceRequest.FromString(gzip.decompress(body)).resource_spans
        for scope in group.scope_spans
        for span in scope.spans
        if span.kind == 2
    }
    requests = sum(
        point.count
        for body in set(_bodies(OTLP_RUN, "metrics"))
        for group in ExportMetricsServiceRequest.FromString(gzip.decompress(body)).resource_metrics
        for scope in group.scope_metrics
        for metric in scope.metrics
        if metric.name == "http.server.request.duration"
        for point in metric.exponential_histogram.data_points
    )
    assert len(list(_bodies(OTLP_RUN, "traces"))) == 2
    assert len(_logged(api, alice, app)) == len(spans) > 0
    assert _requests(api, alice, app) == requests > 0
