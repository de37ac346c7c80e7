"""A made-up past has the size that was asked for, and its sums agree."""

import pytest
from django.core.management import CommandError, call_command
from django.db.models import Sum

from analytics import services
from analytics.models import EnvironmentQuarter, RequestDetail, RequestLog, TrafficQuarter, TrafficQuarterTotal
from tests.cast import BY, Tenant


def test_a_past_has_the_size_that_was_asked_for(alice: Tenant) -> None:
    app = services.create_app(alice.account, by=BY, name="shop")
    wanted = ["--logs", "2000", "--log-days", "2", "--endpoints", "5", "--consumers", "8", "--months", "1"]
    call_command("simulate_history", "--app", str(app.pk), *wanted)
    assert RequestLog.objects.filter(app_id=app.pk).count() == 2000
    assert RequestLog.objects.values("endpoint_id").distinct().count() == 5
    assert RequestLog.objects.filter(environment_id=app.environments.get(name="staging").pk).count() == 2
    assert 0 < RequestDetail.objects.count() < 2000
    assert TrafficQuarter.objects.count() == 30 * 96 * 5 * 4
    assert TrafficQuarterTotal.objects.count() == 30 * 96 * 5
    sums = {"requests": Sum("requests"), "bytes": Sum("bytes_sent")}
    assert TrafficQuarter.objects.aggregate(**sums) == TrafficQuarterTotal.objects.aggregate(**sums)
    assert EnvironmentQuarter.objects.count() == 30 * 96
    assert EnvironmentQuarter.objects.aggregate(**sums) == TrafficQuarterTotal.objects.aggregate(**sums)


def test_a_past_without_days_is_refused(alice: Tenant) -> None:
    app = services.create_app(alice.account, by=BY, name="shop")
    with pytest.raises(CommandError, match="one day at least"):
        call_command("simulate_history", "--app", str(app.pk), "--log-days", "0")
