"""What was done stays on record: who, what, from where, before and after; never a secret."""

import ast
from pathlib import Path

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from accounts import services as accounts
from accounts.models import AuditEntry
from keys import services as keys
from plans import services as plans
from tests.architecture import CHAIN, ROOT
from tests.cast import BY, Tenant
from tests.conftest import ApiClient


def _last() -> AuditEntry:
    entry = AuditEntry.objects.order_by("-id").first()
    assert entry is not None
    return entry


def test_a_change_is_on_record_with_both_sides(alice: Tenant) -> None:
    plan = alice.plan(limit=5)
    plans.update_plan(plan, by=BY, max_requests=7, name="Gold")
    entry = _last()
    assert (entry.action, entry.row_id, entry.account) == ("plan changed", plan.pk, alice.account)
    assert (entry.before, entry.after) == ({"max_requests": 5}, {"max_requests": 7})
    assert (entry.actor_kind, entry.actor_name, entry.address) == ("command", "test", None)


def test_a_change_of_nothing_leaves_nothing(alice: Tenant) -> None:
    plan = alice.plan()
    before = AuditEntry.objects.count()
    plans.update_plan(plan, by=BY, name=plan.name)
    assert AuditEntry.objects.count() == before


def test_a_change_that_fails_leaves_nothing(alice: Tenant) -> None:
    alice.user(email="a@example.com")
    other = alice.user(email="b@example.com")
    before = AuditEntry.objects.count()
    with pytest.raises(accounts.DuplicateEmail):
        plans.update_user(other, by=BY, email="a@example.com")
    assert AuditEntry.objects.count() == before


def test_a_move_between_plans_names_both(alice: Tenant) -> None:
    silver, gold = alice.plan(name="Silver"), alice.plan(name="Gold")
    user = alice.user(silver)
    plans.subscribe(user, by=BY, plan=gold)
    assert _last().before["plan"] == f"Silver (#{silver.pk})"
    assert _last().after["plan"] == f"Gold (#{gold.pk})"


def test_the_api_is_on_record_by_its_access_key_and_address(api: ApiClient, alice: Tenant) -> None:
    api.post("/v1/plans", of=alice, json={"name": "Gold", "max_requests": 9, "request_period": "day"})
    entry = _last()
    assert (entry.actor_kind, entry.actor_name) == ("access_key", str(alice.access_key))
    assert (entry.action, entry.row_name, entry.address) == ("plan created", "Gold", "127.0.0.1")


def test_staff_are_on_record_by_name_and_address(desk: Client, alice: Tenant) -> None:
    plan = alice.plan()
    given = {"name": "Gold", "description": "", "max_requests": 8, "request_period": "month", "is_active": "on"}
    desk.post(reverse("admin:plans_plan_change", args=[plan.pk]), given, REMOTE_ADDR="203.0.113.9")
    entry = _last()
    assert (entry.actor_kind, entry.actor_name, entry.address) == ("staff", "sam", "203.0.113.9")
    assert entry.after == {"max_requests": 8}


def test_secrets_are_never_on_record(alice: Tenant) -> None:
    issued = alice.key()
    fresh = keys.regenerate_api_key(issued.api_key, by=BY, now=timezone.now()).secret
    told = str(list(AuditEntry.objects.values()))
    for secret in (alice.secret, issued.secret, fresh):
        assert secret not in told
        assert secret[20:-4] not in told
    assert _last().after == {"secret": f"{fresh[:12]}…{fresh[-4:]}", "overlap_seconds": 0}


def test_every_changing_service_leaves_something() -> None:
    """What takes `by` uses it: for the record, or by handing it to a service that does."""
    for app in CHAIN:
        tree = ast.parse(Path(ROOT / app / "services.py").read_text())
        for service in (node for node in tree.body if isinstance(node, ast.FunctionDef)):
            if any(argument.arg == "by" for argument in service.args.kwonlyargs):
                used = {node.id for node in ast.walk(service) if isinstance(node, ast.Name)}
                assert "by" in used, service.name


def test_nobody_edits_the_record(desk: Client, alice: Tenant) -> None:
    alice.plan()
    page = desk.get(reverse("admin:accounts_auditentry_change", args=[_last().pk]))
    assert page.status_code == 200
    assert b"plan created" in page.content
    assert desk.get(reverse("admin:accounts_auditentry_add")).status_code == 403
    assert desk.post(reverse("admin:accounts_auditentry_delete", args=[_last().pk])).status_code == 403


def test_a_rows_history_is_its_changes_whoever_made_them(desk: Client, alice: Tenant) -> None:
    plan, other = alice.plan(name="Gold"), alice.plan(name="Silver")
    plans.update_plan(plan, by=BY, max_requests=7)
    page = desk.get(reverse("admin:plans_plan_history", args=[plan.pk]), follow=True).content.decode()
    assert "plan changed" in page
    assert "max requests: 100 → 7" in page
    assert str(other) not in page
