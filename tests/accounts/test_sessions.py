"""A session of staff ends: after a while without a page, after a day's work in any case."""

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.sessions.models import Session
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from accounts.models import AuditEntry
from tests.queries import counting_queries


def _ends_in() -> timedelta:
    return Session.objects.get().expire_date - timezone.now()


def _shift(client: Client, **told: int) -> None:
    """As if what the session remembers were so many seconds longer ago."""
    session = client.session
    for name, seconds in told.items():
        session[f"limitly_{name}"] -= seconds
    session.save()


def test_a_session_without_a_page_ends(desk: Client) -> None:
    desk.get(reverse("admin:index"))
    assert timedelta(minutes=119) < _ends_in() <= timedelta(minutes=120)
    row = Session.objects.get()
    row.expire_date = timezone.now()
    row.save()
    assert desk.get(reverse("admin:index")).status_code == 302


def test_a_page_keeps_a_session_alive_and_writes_it_once_a_minute(desk: Client) -> None:
    desk.get(reverse("admin:index"))
    with counting_queries() as queries:
        desk.get(reverse("admin:index"))
    assert not [each for each in queries if each.startswith("UPDATE")]
    _shift(desk, seen=61)
    with counting_queries() as queries:
        desk.get(reverse("admin:index"))
    assert len([each for each in queries if each.startswith('UPDATE "django_session"')]) == 1


@pytest.mark.parametrize(("hours", "status"), [(11, 200), (12, 302)])
def test_a_session_ends_after_a_days_work(desk: Client, settings: Any, hours: int, status: int) -> None:
    settings.LIMITLY_SESSION_HOURS = 12
    desk.get(reverse("admin:index"))
    _shift(desk, began=hours * 3600)
    assert desk.get(reverse("admin:index")).status_code == status


def test_an_ended_session_leads_to_log_in_and_is_on_record(desk: Client) -> None:
    desk.get(reverse("admin:index"))
    _shift(desk, began=13 * 3600)
    wanted = reverse("admin:plans_plan_changelist")
    assert desk.get(wanted)["Location"] == f"{reverse('admin:login')}?next={wanted}"
    assert AuditEntry.objects.latest("id").action == "staff member logged out"
