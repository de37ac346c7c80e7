"""The demo app that simulate_app makes up is counted as a real one."""

import json
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.db.models import Sum

from analytics import services
from analytics.models import Consumer, Endpoint, ErrorGroup, RejectedReport, RequestLog, TrafficQuarterTotal
from tests.cast import BY, Tenant
from tests.live_server import LiveServer


def test_a_simulated_app_is_counted_as_a_real_one(server: LiveServer, alice: Tenant) -> None:
    app, said = services.create_app(alice.account, by=BY, name="shop"), StringIO()
    words = ["--app", str(app.pk), "--url", server.url, "--rate", "200", "--seconds", "1", "--json"]
    call_command("simulate_app", *words, stdout=said)
    call_command("ingest_reports")
    told = json.loads(said.getvalue())
    assert told["requests"] == 200
    assert TrafficQuarterTotal.objects.aggregate(sum=Sum("requests"))["sum"] == 200
    assert RequestLog.objects.filter(app_id=app.pk).count() == 200
    assert RequestLog.objects.filter(app_id=app.pk, status_code__gte=400).count() == told["errors"]
    assert Consumer.objects.filter(app=app).exclude(name="").count() == 5
    assert Endpoint.objects.filter(app=app).count() == 6
    failed = RequestLog.objects.filter(app_id=app.pk, status_code=500).count()
    assert (ErrorGroup.objects.aggregate(sum=Sum("occurrences"))["sum"] or 0) == failed
    assert not RejectedReport.objects.exists()


def test_a_server_that_is_not_there_is_said(alice: Tenant) -> None:
    app = services.create_app(alice.account, by=BY, name="shop")
    with pytest.raises(CommandError, match="make run"):
        call_command("simulate_app", "--app", str(app.pk), "--url", "http://127.0.0.1:9", "--seconds", "1")
