"""Staff see which source is in force, pin one, and say how paths fold and which endpoints and statuses count."""

from datetime import UTC, datetime

import pytest
from django.db import IntegrityError, connection, transaction
from django.test import Client
from django.urls import reverse

from accounts.models import AuditEntry
from analytics import services
from analytics.models import App, Endpoint, Environment, KeyBinding, PathOverride, Record, Source, TrafficSource
from tests.cast import BY, Tenant
from tests.queries import counting_queries

NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)


@pytest.fixture
def shop(alice: Tenant) -> App:
    return services.create_app(alice.account, by=BY, name="Shop")


@pytest.fixture
def prod(shop: App) -> Environment:
    return Environment.objects.create(app=shop, name="prod")


def _page(desk: Client, name: str, *arguments: object) -> str:
    return desk.get(reverse(f"admin:analytics_{name}", args=arguments)).content.decode()


# --- sources ------------------------------------------------------------------------------------------------------
def test_the_source_in_force_is_shown_and_since_when(desk: Client, prod: Environment) -> None:
    assert "decisions since its beginning" in _page(desk, "environment_changelist")
    TrafficSource.objects.create(environment=prod, record=Record.TRAFFIC, source=Source.METRIC, since=NOON)
    for page in (_page(desk, "environment_changelist"), _page(desk, "environment_change", prod.pk)):
        assert "metrics since 2026-06-01 12:00 UTC" in page


def test_a_source_is_pinned_and_let_go(desk: Client, prod: Environment) -> None:
    address = reverse("admin:analytics_environment_change", args=[prod.pk])
    desk.post(address, {"pinned_source": Source.SPAN.value, "name": "other"})
    pinned = Environment.objects.get()
    shown = _page(desk, "environment_changelist")
    desk.post(address, {"pinned_source": ""})
    assert (pinned.pinned_source, pinned.name) == (Source.SPAN, "prod")
    assert "spans, pinned (judged: decisions since its beginning)" in shown
    assert Environment.objects.get().pinned_source is None


def test_the_list_of_environments_costs_no_statement_a_row(desk: Client, shop: App, prod: Environment) -> None:
    with counting_queries() as few:
        _page(desk, "environment_changelist")
    for number in range(10):
        Environment.objects.create(app=shop, name=f"e{number}")
    with counting_queries() as many:
        _page(desk, "environment_changelist")
    assert len(many) == len(few)


# --- endpoints ----------------------------------------------------------------------------------------------------
def test_an_endpoint_is_excluded_and_told_which_statuses_are_expected(desk: Client, shop: App) -> None:
    endpoint = Endpoint.objects.create(app=shop, method="GET", path="/health")
    address = reverse("admin:analytics_endpoint_change", args=[endpoint.pk])
    desk.post(address, {"is_excluded": "on", "expected_statuses": "422,404,404", "path": "/other"})
    found = Endpoint.objects.get()
    assert (found.is_excluded, found.expected_statuses, found.path) == (True, [404, 422], "/health")


@pytest.mark.parametrize("statuses", ["99", "600", "4xx", "-404"])
def test_what_is_no_status_is_refused(desk: Client, shop: App, statuses: str) -> None:
    endpoint = Endpoint.objects.create(app=shop, method="GET", path="/o")
    address = reverse("admin:analytics_endpoint_change", args=[endpoint.pk])
    assert desk.post(address, {"expected_statuses": statuses}).context["adminform"].errors
    assert Endpoint.objects.get().expected_statuses == []


@pytest.mark.parametrize("status", [99, 600])
def test_the_database_holds_no_status_that_is_none(shop: App, status: int) -> None:
    with pytest.raises(IntegrityError), transaction.atomic():
        Endpoint.objects.create(app=shop, method="GET", path="/o", expected_statuses=[404, status])


# --- overrides ----------------------------------------------------------------------------------------------------
def test_an_override_is_made_and_ended_and_stays_what_it_is(desk: Client, shop: App) -> None:
    desk.post(reverse("admin:analytics_pathoverride_add"), {"app": shop.pk, "template": "/tags/{tag}"})
    made = PathOverride.objects.get()
    desk.post(reverse("admin:analytics_pathoverride_change", args=[made.pk]), {"template": "/x"})
    ended = PathOverride.objects.get()
    assert (made.app, made.template, made.is_active) == (shop, "/tags/{tag}", True)
    assert (ended.template, ended.is_active) == ("/tags/{tag}", False)
    assert "/tags/{tag}" in _page(desk, "pathoverride_changelist")


@pytest.mark.parametrize("template", ["", "/a b", "/a?x=1", "/a#b", "/" + "a" * 1024, "/tags/{tag}"])
def test_a_template_that_no_path_can_match_or_that_is_there_is_refused(desk: Client, shop: App, template: str) -> None:
    services.create_path_override(shop, template="/tags/{tag}", by=BY)
    answer = desk.post(reverse("admin:analytics_pathoverride_add"), {"app": shop.pk, "template": template})
    assert answer.context["adminform"].errors
    assert PathOverride.objects.count() == 1


# --- on record ----------------------------------------------------------------------------------------------------
def test_what_staff_say_of_sources_endpoints_and_paths_is_on_record(desk: Client, shop: App, prod: Environment) -> None:
    endpoint = Endpoint.objects.create(app=shop, method="GET", path="/health")
    desk.post(reverse("admin:analytics_environment_change", args=[prod.pk]), {"pinned_source": Source.SPAN.value})
    given = {"is_excluded": "on", "expected_statuses": "404"}
    desk.post(reverse("admin:analytics_endpoint_change", args=[endpoint.pk]), given)
    desk.post(reverse("admin:analytics_pathoverride_add"), {"app": shop.pk, "template": "/tags/{tag}"})
    override = PathOverride.objects.get()
    desk.post(reverse("admin:analytics_pathoverride_change", args=[override.pk]), {})
    entries = AuditEntry.objects.filter(actor_kind="staff", account=shop.account).order_by("id")
    assert [(entry.action, entry.row_id, entry.account_id) for entry in entries] == [
        ("environment changed", prod.pk, shop.account_id),
        ("endpoint changed", endpoint.pk, shop.account_id),
        ("path override created", override.pk, shop.account_id),
        ("path override changed", override.pk, shop.account_id),
    ]
    assert entries[1].before == {"is_excluded": False, "expected_statuses": []}
    assert entries[1].after == {"is_excluded": True, "expected_statuses": [404]}
    assert entries[3].after == {"is_active": False}


# --- bindings and default apps ------------------------------------------------------------------------------------
def test_no_key_is_bound_to_another_accounts_app_whoever_writes_it(
    alice: Tenant, bob: Tenant, prod: Environment
) -> None:
    """Neither by a wrong account nor by a wrong app beside the environment."""
    foreign = services.create_app(bob.account, by=BY, name="Theirs")
    for account, app in ((alice.account, prod.app), (bob.account, prod.app), (bob.account, foreign)):
        with pytest.raises(IntegrityError), transaction.atomic():
            KeyBinding.objects.create(access_key=bob.access_key, environment=prod, account=account, app=app)
            connection.check_constraints()
    assert KeyBinding.objects.count() == 0


def test_a_key_that_is_bound_elsewhere_takes_its_app_along(alice: Tenant, shop: App) -> None:
    other = services.create_app(alice.account, by=BY, name="Other")
    for app in (shop, other):
        services.bind_access_key(alice.access_key, app, environment_name="dev", by=BY)
    binding = KeyBinding.objects.get()
    assert (binding.account, binding.app, binding.environment.app) == (alice.account, other, other)


def test_an_account_has_one_default_app(alice: Tenant, bob: Tenant) -> None:
    first, second = services.default_app(alice.account, by=BY), services.default_app(alice.account, by=BY)
    assert first == second != services.default_app(bob.account, by=BY)
    with pytest.raises(IntegrityError), transaction.atomic():
        App.objects.create(account=alice.account, name="Another", is_default=True)
