"""Each role is tried on every page and action that the admin has, whoever added it (tests.accounts.pages)."""

from collections.abc import Iterator
from typing import Any

import pytest
from django.apps import apps
from django.contrib import admin
from django.contrib.auth.models import Group
from django.test import Client
from django.urls import URLResolver, get_resolver, reverse
from django.utils import timezone

from accounts.models import AuditEntry, Staff
from accounts.roles import Role, sync_roles
from analytics import services as analytics
from analytics.models import (
    Consumer,
    ConsumerGroup,
    DroppedItems,
    Endpoint,
    ErrorGroup,
    ErrorKind,
    InboxReport,
    Instance,
    RejectedReport,
    ReportKind,
)
from keys.ledger.drain import drain_all
from keys.models import DeadEvent, NearLimit, PendingInvalidation
from tests.accounts.pages import LETTERS, MODELS, NO_PAGES, PAGES, Page, Stage
from tests.analytics.filed import file_rows, observe, request
from tests.cast import BY, Tenant
from tests.conftest import ApiClient
from tests.keys.adjustments import grant

DESKS = {f"{model._meta.app_label}_{model._meta.model_name}": desk for model, desk in admin.site._registry.items()}
KINDS = ("changelist", "add", "change", "history", "delete")
# A change or deletion of these by their actions would end the test's own staff.
SPARED = {"accounts_staff", "auth_group"}


def _names(patterns: list[Any], namespace: str = "") -> Iterator[str]:
    for pattern in patterns:
        if isinstance(pattern, URLResolver):
            yield from _names(pattern.url_patterns, f"{pattern.namespace}:" if pattern.namespace else namespace)
        elif pattern.name:
            yield f"{namespace}{pattern.name}"


def _pages() -> set[str]:
    """Every page under /admin/ by its name, the five of each model aside."""
    of_models = {f"admin:{name}_{kind}" for name in DESKS for kind in KINDS}
    named = {name for name in _names(get_resolver().url_patterns) if name.startswith(("admin:", "desk:"))}
    return named - of_models


@pytest.fixture
def stage(api: ApiClient, alice: Tenant) -> Stage:
    """A row of each model."""
    sync_roles()
    now = timezone.now()
    user = alice.user(alice.plan(), email="uma@example.com")
    issued = alice.key(user=user)
    api.validate(alice, issued.secret)
    grant(user, 5)
    drain_all(for_s=5)
    environment = observe(alice)
    app = environment.app
    analytics.create_write_token(app, name="ci", by=BY)
    analytics.bind_access_key(alice.access_key, app, environment_name="prod", by=BY)
    analytics.create_path_override(app, template="/shops/{slug}", by=BY)
    Instance.objects.create(environment=environment, identifier="one")
    Consumer.objects.create(app=app, identifier="uma", group=ConsumerGroup.objects.create(app=app, name="gold"))
    endpoint = Endpoint.objects.create(app=app, method="GET", path="/orders")
    error_group = ErrorGroup.objects.create(
        app=app, environment=environment, endpoint=endpoint, kind=ErrorKind.SERVER, fingerprint=b"1",
        occurrences=1, first_seen_at=now, last_seen_at=now,
    )  # fmt: skip
    request_log = request(environment, endpoint, now)
    file_rows([request_log])
    InboxReport.objects.create(app=app, kind=ReportKind.SYNC, received_at=now, body=b"{}")
    RejectedReport.objects.create(
        app=app, kind=ReportKind.SYNC, reason="bad_gzip", size_bytes=2, body=b"{}", received_at=now
    )
    DroppedItems.objects.create(app=app, kind=ReportKind.SYNC, reason="too_late", hour=now, items=1)
    PendingInvalidation.objects.create(bucket=0, names=[])
    NearLimit.objects.create(
        account=alice.account, subject_kind="u", subject_id=user.pk, window_end=now, used=9, limit=10, percent=90
    )
    DeadEvent.objects.create(bucket=0, stream_id="1-1", fields={}, reason="unreadable")
    rows = {desk.model._meta.label: desk.model._base_manager.first() for desk in DESKS.values()}
    rows["accounts.Staff"] = staff = Staff.objects.create_user("vera", password="a long one", is_staff=True)
    return Stage(rows=rows, staff=staff, error_group=error_group, request_log=request_log)


def _client(role: Role) -> Client:
    staff = Staff.objects.create_user(f"a {role}", password="a long one", is_staff=True)
    staff.groups.add(Group.objects.get(name=role.value))
    client = Client()
    client.force_login(staff)
    return client


def _opens(client: Client, url: str, post: dict[str, str] | None = None) -> bool:
    status = (client.get(url) if post is None else client.post(url, post)).status_code
    assert status in {200, 302, 403}, f"{url}: {status}"
    return status != 403


# --- the table ----------------------------------------------------------------------------------------------------
def test_every_model_and_every_page_has_its_line() -> None:
    assert set(MODELS) == set(DESKS)
    assert set(PAGES) | NO_PAGES == _pages()


def test_there_is_a_row_of_each_model_to_try(stage: Stage) -> None:
    assert [label for label, row in stage.rows.items() if row is None] == []


# --- pages --------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("role", Role)
def test_each_role_opens_its_pages_and_no_other(stage: Stage, role: Role) -> None:
    opened = {name: _opens(_client_again(role), _address(name, page, stage), page.post) for name, page in PAGES.items()}
    assert opened == {name: LETTERS[role] in page.roles for name, page in PAGES.items()}


@pytest.mark.parametrize("role", Role)
def test_each_role_opens_its_lists_rows_and_histories_and_no_other(stage: Stage, role: Role) -> None:
    client, letter = _client(role), LETTERS[role]
    for name, expected in MODELS.items():
        row = stage.rows[DESKS[name].model._meta.label]
        opened = {
            "changelist": _opens(client, reverse(f"admin:{name}_changelist")),
            "change": _opens(client, reverse(f"admin:{name}_change", args=[row.pk])),
            "history": _opens(client, reverse(f"admin:{name}_history", args=[row.pk])),
            "add": _opens(client, reverse(f"admin:{name}_add")),
            "delete": _opens(client, reverse(f"admin:{name}_delete", args=[row.pk])),
        }
        may_view = letter in expected.view
        assert opened == {
            "changelist": may_view,
            "change": may_view,
            "history": may_view,
            "add": letter in expected.add,
            "delete": letter in expected.delete,
        }, name


@pytest.mark.parametrize("role", Role)
def test_each_role_saves_what_it_may_and_no_more(stage: Stage, role: Role) -> None:
    """A form sent to a row that the role may not change is refused, whatever is in it."""
    client, letter = _client(role), LETTERS[role]
    for name, expected in MODELS.items():
        row = stage.rows[DESKS[name].model._meta.label]
        url = reverse(f"admin:{name}_change", args=[row.pk])
        assert _opens(client, url, {"nonsense": "1"}) is (letter in expected.change), name


# --- actions ------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("role", Role)
def test_each_role_runs_by_a_forged_form_what_its_row_says(stage: Stage, role: Role) -> None:
    """An action changes rows, so it needs what a change of them needs; who may not leaves everything as it was."""
    client, letter = _client(role), LETTERS[role]
    for name, desk in DESKS.items():
        row = stage.rows[desk.model._meta.label]
        for action in set(desk.actions or ()) if name not in SPARED else ():
            before = AuditEntry.objects.count()
            told = {"action": str(action), "_selected_action": [row.pk], "asked": "1"}
            client.post(reverse(f"admin:{name}_changelist"), told)
            is_allowed = letter in MODELS[name].change + MODELS[name].add
            if not is_allowed:
                assert AuditEntry.objects.count() == before, f"{name}: {action}"


def _client_again(role: Role) -> Client:
    """Of the same member of staff: some pages end a session."""
    staff = Staff.objects.filter(username=f"a {role}").first()
    if staff is None:
        return _client(role)
    client = Client()
    client.force_login(staff)
    return client


def _address(name: str, page: Page, stage: Stage) -> str:
    url = reverse(name, args=page.arguments(stage))
    return f"{url}?{page.query}" if page.query else url


def test_models_are_named_as_the_admin_names_them() -> None:
    assert {name.partition("_")[0] for name in MODELS} <= {config.label for config in apps.get_app_configs()}
