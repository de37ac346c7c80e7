"""What tests of the request explorer share: who looks, at which app, and at what."""

from datetime import UTC, datetime, timedelta
from typing import Any

from django.contrib.auth.models import Group
from django.http import HttpResponse
from django.test import Client
from django.urls import reverse

from accounts.models import Staff
from accounts.roles import Role, sync_roles
from analytics.exploring import ExploredPage
from analytics.models import App

NOON = datetime(2026, 6, 15, 12, tzinfo=UTC)
DAY = timedelta(days=1)
# The day of NOON, whatever the clock says.
PERIOD = {"period": "custom", "from": "2026-06-15T00:00", "to": "2026-06-16T00:00", "zone": "UTC"}


def as_role(role: Role) -> Client:
    sync_roles()
    staff = Staff.objects.create_user(f"a {role}", password="a long one", is_staff=True)
    staff.groups.add(Group.objects.get(name=role.value))
    client = Client()
    client.force_login(staff)
    return client


def explore(client: Client, app: App, **query: Any) -> Any:
    """Answers with the page's context."""
    answer = client.get(reverse("desk:requests"), {"app": app.pk} | PERIOD | query)
    assert answer.status_code == 200, answer.content
    return answer


def urls(answer: Any) -> list[str]:
    page: ExploredPage = answer.context["page"]
    return [row.request.url for row in page.rows]


def sent(client: Client, app: App, **fields: Any) -> HttpResponse:
    """The form of filters, sent as a browser would."""
    return client.post(f"{reverse('desk:requests')}?app={app.pk}", PERIOD | fields)  # type: ignore[return-value]
