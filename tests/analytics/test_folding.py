"""Decisions become request logs and traffic: through the API, the drain and the fold, on real stores."""

import logging
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.conf import LazySettings
from django.core.management import call_command
from django.core.management.base import CommandError
from django.db import DataError, transaction
from django.utils import timezone

from accounts import services as accounts
from accounts.models import Account
from analytics import services, tasks
from analytics.models import App, Consumer, Endpoint, FoldPosition, RequestLog, Source, TrafficMinute
from analytics.observations import EndpointTold, Observed, Startup
from analytics.rollup import folding
from analytics.rollup.filing import file_observed
from analytics.rollup.folding import fold_decisions
from analytics.rollup.partitioning import making_partitions
from analytics.templates import OTHER_PATH
from keys import services as keys
from keys.events import to_ms
from keys.ledger.drain import drain_all
from keys.ledger.retention import prune_decisions
from keys.models import Decision
from tests.analytics import reporting as reports
from tests.analytics.folds import decide, fold_all, is_folded, request_logs, traffic
from tests.cast import BY, Tenant
from tests.conftest import ApiClient
from tests.keys.test_commands import run
from tests.store_redis import StoreRedis

NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)


def test_an_account_that_only_validates_sees_its_requests_traffic_and_consumers(api: ApiClient, alice: Tenant) -> None:
    user = alice.user(alice.plan(2, "month"))
    of_user, free = alice.key(user=user), alice.key()
    for number in range(3):
        given = {"method": "post", "ip_address": "203.0.113.9", "cost": 1}
        api.validate(alice, of_user.secret, endpoint=f"/orders/{number}?token=abc", **given)
    api.validate(alice, free.secret, cost=25)
    keys.update_api_key(free.api_key, by=BY, status="inactive")
    api.validate(alice, free.secret)
    assert fold_all() == 5
    uma, key = str(user.pk), free.api_key.public_id
    assert request_logs(alice.account) == {
        ("Default/prod", "POST", "/orders/{id}", 200, uma): 2,
        ("Default/prod", "POST", "/orders/{id}", 429, uma): 1,
        ("Default/prod", "GET", "/orders", 200, key): 1,
        ("Default/prod", "GET", "/orders", 403, key): 1,
    }
    assert traffic(alice.account) == request_logs(alice.account)
    assert dict(Consumer.objects.values_list("identifier", "name")) == {uma: "Uma", key: "key"}
    newest = RequestLog.objects.filter(client_ip="203.0.113.9").last()
    decision = Decision.objects.filter(ip="203.0.113.9").first()
    assert newest is not None
    assert decision is not None
    assert (newest.uuid, newest.at, newest.url) == (decision.id, decision.at, "/orders/2?token=[REDACTED]")
    assert (newest.request_size_bytes, newest.response_size_bytes, newest.response_time_ms) == (0, 0, 0)


def test_dry_runs_and_unknown_keys_are_no_requests(api: ApiClient, alice: Tenant) -> None:
    api.validate(alice, alice.key().secret, dry_run=True)
    api.validate(alice, "lk_user_unknown")
    assert fold_all() == 0
    assert RequestLog.objects.count() == 0
    assert App.objects.count() == 0


def test_only_what_is_drained_is_folded_and_nothing_twice(api: ApiClient, alice: Tenant) -> None:
    key = alice.key()
    for _ in range(2):
        api.validate(alice, key.secret)
    assert fold_decisions(for_s=10, now=timezone.now()) == 0
    assert [fold_all(), fold_all()] == [2, 0]
    api.validate(alice, key.secret)
    assert [fold_all(), fold_all()] == [1, 0]
    assert sum(request_logs(alice.account).values()) == sum(traffic(alice.account).values()) == 3
    assert is_folded()


def test_two_accounts_are_told_apart(api: ApiClient, alice: Tenant, bob: Tenant) -> None:
    for tenant, calls in ((alice, 3), (bob, 2)):
        key = tenant.key()
        for _ in range(calls):
            api.validate(tenant, key.secret)
    fold_all()
    assert sum(traffic(alice.account).values()) == 3
    assert sum(traffic(bob.account).values()) == 2
    assert {app.account for app in App.objects.filter(is_default=True)} == {alice.account, bob.account}


def test_decisions_are_filed_where_their_access_key_is_bound_when_they_are_folded(
    api: ApiClient, alice: Tenant
) -> None:
    key, shop = alice.key(), services.create_app(alice.account, by=BY, name="Shop")
    api.validate(alice, key.secret)
    fold_all()
    services.bind_access_key(alice.access_key, shop, environment_name="dev", by=BY)
    api.validate(alice, key.secret)
    drain_all(for_s=5)
    services.bind_access_key(alice.access_key, shop, environment_name="live", by=BY)
    fold_all()
    found = traffic(alice.account)
    assert Counter(told[0] for told in found.elements()) == {"Default/prod": 1, "Shop/live": 1}


def test_keys_of_one_account_may_be_bound_to_several_environments(stores: StoreRedis, alice: Tenant) -> None:
    shop = services.create_app(alice.account, by=BY, name="Shop")
    bound = {}
    for name in ("dev", "live"):
        issued = accounts.create_access_key(alice.account, name=name, by=BY)
        services.bind_access_key(issued.row, shop, environment_name=name, by=BY)
        bound[name] = issued.row.pk
    for number, access_key_id in enumerate([bound["dev"], bound["live"], alice.access_key.pk, bound["dev"]]):
        decide(stores, alice, NOON, number, access_key_id=access_key_id)
    assert fold_all() == 4
    found = Counter(told[0] for told in traffic(alice.account).elements())
    assert found == {"Shop/dev": 2, "Shop/live": 1, "Default/prod": 1}


def test_the_default_app_is_known_by_its_mark_and_not_by_its_name(api: ApiClient, alice: Tenant) -> None:
    key = alice.key()
    services.create_app(alice.account, by=BY, name="Default")
    api.validate(alice, key.secret)
    fold_all()
    default = App.objects.get(is_default=True)
    services.update_app(default, by=BY, name="Everything else")
    api.validate(alice, key.secret)
    fold_all()
    assert (App.objects.count(), default.framework) == (2, "Other")
    assert {told[0] for told in traffic(alice.account)} == {"Everything else/prod"}


# --- templates ----------------------------------------------------------------------------------------------------
def _start(app: App, *paths: str) -> None:
    """A process of the app starts and tells of its routes."""
    endpoints = tuple(EndpointTold("GET", path) for path in paths)
    startup = Startup(at=NOON, client="python:fastapi", versions={}, endpoints=endpoints)
    said = [Observed(environment="prod", instance="i", startups=[startup])]
    making_partitions(transaction.atomic(lambda: file_observed(app, said, now=NOON)))


def test_announced_routes_and_overrides_fold_paths_from_then_on(stores: StoreRedis, alice: Tenant) -> None:
    shop = services.create_app(alice.account, by=BY, name="Shop")
    services.bind_access_key(alice.access_key, shop, environment_name="prod", by=BY)
    _start(shop, "/users/{name}", OTHER_PATH)
    decide(stores, alice, NOON, endpoint="/users/ann")
    decide(stores, alice, NOON, 1, endpoint="/tags/red")
    fold_all()
    override = services.create_path_override(shop, template="/tags/{tag}", by=BY)
    decide(stores, alice, NOON, 2, endpoint="/tags/red")
    fold_all()
    services.update_path_override(override, is_active=False, by=BY)
    decide(stores, alice, NOON, 3, endpoint="/tags/red")
    decide(stores, alice, NOON, 4, endpoint="/about")
    fold_all()
    paths = Counter({told[2]: count for told, count in traffic(alice.account).items()})
    assert paths == {"/users/{name}": 1, "/tags/red": 2, "/tags/{tag}": 1, "/about": 1}


def test_routes_that_are_only_reported_fold_paths_too(stores: StoreRedis, alice: Tenant) -> None:
    """As of an app with a plain OpenTelemetry SDK, which announces nothing: of its requests, and of its traffic."""
    shop = services.create_app(alice.account, by=BY, name="Shop")
    services.bind_access_key(alice.access_key, shop, environment_name="prod", by=BY)
    counted = reports.traffic(1, of=reports.call("/users/<name>"), at=NOON)
    logged = reports.request(of=reports.call("/tags/{tag}"), at=NOON)
    unmatched = reports.request(2, of=reports.call("", status=404), at=NOON)
    reports.file(shop, reports.observed(counted, requests=[logged, unmatched]), now=NOON)
    for number, endpoint in enumerate(["/users/ann", "/tags/red", "/about"]):
        decide(stores, alice, NOON, number, endpoint=endpoint)
    fold_all()
    decided = TrafficMinute.objects.filter(source=Source.DECISION).values_list("endpoint_id", flat=True)
    assert set(Endpoint.objects.filter(pk__in=decided).values_list("path", flat=True)) == {
        "/users/<name>", "/tags/{tag}", "/about",
    }  # fmt: skip
    assert set(Endpoint.objects.filter(is_announced=True).values_list("path", flat=True)) == {
        "/users/<name>", "/tags/{tag}",
    }  # fmt: skip


def test_what_was_only_folded_is_no_route(stores: StoreRedis, alice: Tenant, bob: Tenant) -> None:
    """Else the first numbered order would swallow every other page below /orders."""
    foreign = services.create_app(bob.account, by=BY, name="Shop")
    services.create_path_override(foreign, template="/{all}/{pages}", by=BY)
    for number, endpoint in enumerate(["/orders/17", "/orders/search"]):
        decide(stores, alice, NOON, number, endpoint=endpoint)
        fold_all()
    assert {told[2] for told in traffic(alice.account)} == {"/orders/{id}", "/orders/search"}


# --- the switch, and what is no longer there ----------------------------------------------------------------------
def test_switched_off_nothing_is_folded_and_switched_on_what_is_kept(
    api: ApiClient, alice: Tenant, settings: LazySettings
) -> None:
    settings.LIMITLY_FOLD_DECISIONS = False
    api.validate(alice, alice.key().secret)
    assert fold_all() == 0
    assert RequestLog.objects.count() == 0
    with pytest.raises(CommandError, match="off"):
        run("fold_decisions")
    settings.LIMITLY_FOLD_DECISIONS = True
    assert fold_all() == 1


def test_decisions_that_were_pruned_before_they_were_folded_are_skipped_and_said(
    stores: StoreRedis, alice: Tenant, caplog: pytest.LogCaptureFixture
) -> None:
    now = timezone.now()
    for days in (60, 50, 0):
        decide(stores, alice, now - timedelta(days=days))
    drain_all(for_s=10)
    prune_decisions(now)
    with caplog.at_level(logging.WARNING):
        assert [fold_all(), fold_all()] == [1, 0]
    (said,) = caplog.messages
    assert "at least 2 decisions" in said
    assert sum(traffic(alice.account).values()) == 1
    assert is_folded()


def test_decisions_of_an_account_that_was_deleted_by_hand_are_left_out_and_said(
    stores: StoreRedis, alice: Tenant, caplog: pytest.LogCaptureFixture
) -> None:
    gone = Account.objects.order_by("-pk")[0].pk + 1_000
    decide(stores, alice, NOON, account_id=gone, access_key_id=0)
    decide(stores, alice, NOON, 1)
    fold_all()
    assert str(gone) in caplog.text
    assert sum(traffic(alice.account).values()) == 1
    assert is_folded()


# --- when filing fails --------------------------------------------------------------------------------------------
def _refusing(monkeypatch: pytest.MonkeyPatch, path: str, failure: Exception) -> None:
    """Filing fails whenever a decision of this path is among what is filed."""

    def refuse(app: App, observed: Sequence[Any], *, now: datetime) -> Counter[str]:
        if any(request.call.path == path for each in observed for request in each.requests):
            raise failure
        return file_observed(app, observed, now=now)

    monkeypatch.setattr(folding, "file_observed", refuse)


def test_a_decision_whose_values_are_refused_is_left_out_and_the_rest_flow(
    stores: StoreRedis, alice: Tenant, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    for number in range(7):
        decide(stores, alice, NOON, number, endpoint="/bad" if number == 3 else "/good")
    _refusing(monkeypatch, "/bad", DataError("out of range"))
    fold_all()
    assert {told[2]: count for told, count in traffic(alice.account).items()} == {"/good": 6}
    assert "was refused" in caplog.text
    assert is_folded()


def test_any_other_failure_moves_nothing_and_is_raised(
    stores: StoreRedis, alice: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    decide(stores, alice, NOON, endpoint="/good")
    decide(stores, alice, NOON, 1, endpoint="/bad")
    with monkeypatch.context() as failing:
        _refusing(failing, "/bad", KeyError("a fault of ours"))
        with pytest.raises(KeyError):
            fold_all()
    assert not is_folded()
    assert RequestLog.objects.count() == 0
    assert fold_all() == 2
    assert sum(traffic(alice.account).values()) == 2


# --- as it is run -------------------------------------------------------------------------------------------------
def test_a_position_names_the_last_event_that_was_drained(stores: StoreRedis, alice: Tenant) -> None:
    """Also where that one is no decision: it was refused by the ledger."""
    decide(stores, alice, NOON)
    decide(stores, alice, NOON, 7, ip="no-address")
    assert fold_all() == 1
    position = FoldPosition.objects.get(bucket=alice.account.bucket)
    assert (position.ms, position.seq) == (to_ms(NOON), 7)


def test_the_task_and_the_command_do_the_same(stores: StoreRedis, alice: Tenant) -> None:
    decide(stores, alice, NOON)
    drain_all(for_s=5)
    assert tasks.fold_decisions() == 1
    decide(stores, alice, NOON, 1)
    drain_all(for_s=5)
    assert run("fold_decisions").strip() == "1 decisions folded."
    assert tasks.judge_sources() == 0
    call_command("judge_sources", verbosity=0)
