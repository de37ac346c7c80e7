"""An OpenTelemetry SDK with default settings, which knows nothing of this server, in three forked workers."""

from collections import Counter
from pathlib import Path
from urllib.parse import quote

import pytest
from django.core.management import call_command

from analytics import services
from analytics.models import RejectedReport
from tests.cast import BY, Tenant
from tests.conftest import ApiClient
from tests.live_server import LiveServer
from tests.sdks.running import run_app
from tests.sdks.test_apitally_sdks import Reader

WORKERS, CALLS_EACH = 3, 20
USER = ("GET", "/users/<int:user_id>")


@pytest.mark.parametrize("conventions", ["", "http", "http/dup"])
def test_every_request_of_three_workers_is_counted_once(
    api: ApiClient, server: LiveServer, alice: Tenant, tmp_path: Path, conventions: str
) -> None:
    app = services.create_app(alice.account, by=BY, name="shop")
    token = services.create_write_token(app, name="shop", by=BY).secret
    run_app(
        "otel_shop.py",
        sdk="opentelemetry",
        folder=tmp_path,
        OTEL_EXPORTER_OTLP_ENDPOINT=server.url,
        OTEL_EXPORTER_OTLP_HEADERS=f"authorization={quote(f'Bearer {token}')}",
        OTEL_SEMCONV_STABILITY_OPT_IN=conventions,
    )
    call_command("ingest_reports")
    assert list(RejectedReport.objects.values_list("reason", "explanation")) == []

    reader = Reader(api, alice, app)
    routed = WORKERS * (CALLS_EACH + 1)
    assert sum(hour["requests"] for hour in reader.get("traffic")["data"]) == routed
    logs = reader.get("request-logs", limit=1000)["data"]
    assert Counter((each["method"], each["path"], each["status_code"], each["consumer"]) for each in logs) == {
        (*USER, 200, "user-0"): WORKERS * CALLS_EACH // 2,
        (*USER, 200, "user-1"): WORKERS * CALLS_EACH // 2,
        ("GET", "/teapot", 418, None): WORKERS,
        ("GET", None, 404, None): WORKERS,
    }
    assert {each["env"] for each in logs} == {"prod"}
