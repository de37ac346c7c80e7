"""The list of changes: found by every filter, each by its index; taken along as a file that says the same."""

import csv
import io
import json
import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.contrib.auth.models import Group
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from accounts import audit
from accounts.desk import changes
from accounts.models import AuditEntry, Staff
from accounts.roles import Role, sync_roles
from plans import services as plans
from tests.cast import BY, Tenant
from tests.queries import counting_queries

LIST = "admin:accounts_auditentry_changelist"
EXPORT = "admin:accounts_auditentry_export"


def _shown(desk: Client, **filters: Any) -> list[str]:
    page = desk.get(reverse(LIST), filters)
    assert page.status_code == 200
    return [f"{entry.action} {entry.row_name}" for entry in page.context["cl"].result_list]


def _exported(desk: Client, form: str = "csv", **filters: Any) -> str:
    answer: Any = desk.post(reverse(EXPORT, query=filters), {"format": form})
    assert answer.status_code == 200, answer.content

    async def whole() -> bytes:
        return b"".join([part async for part in answer.streaming_content])

    return async_to_sync(whole)().decode()


def _rows(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text, newline="")))


@pytest.fixture
def gold(alice: Tenant, bob: Tenant) -> Any:
    """Alice's plan, made and changed; bob's, made."""
    plan = alice.plan(name="Gold")
    plans.update_plan(plan, by=BY, max_requests=7)
    bob.plan(name="Silver")
    return plan


# --- the list -----------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ({"row_type": "plans.Plan"}, ["plan created Silver", "plan changed Gold", "plan created Gold"]),
        ({"action_done": "plan changed"}, ["plan changed Gold"]),
        ({"actor_kind__exact": "command", "row_type": "plans.Plan", "q": "sil"}, ["plan created Silver"]),
        ({"actor_kind__exact": "visitor"}, []),
        ({"actor_name": "test", "action_done": "plan created"}, ["plan created Silver", "plan created Gold"]),
        ({"actor_name": "tes"}, []),
        ({"q": "old"}, []),
    ],
)
def test_changes_are_found_by_every_filter(
    desk: Client, gold: Any, filters: dict[str, object], expected: list[str]
) -> None:
    assert _shown(desk, **filters) == expected


def test_what_is_chosen_stays_chosen_when_the_fields_are_sent(desk: Client, gold: Any, alice: Tenant) -> None:
    chosen = {"action_done": "plan changed", "row_type": "plans.Plan", "actor_kind__exact": "command"}
    page = desk.get(reverse(LIST), chosen | {"account_id": alice.account.pk}).content.decode()
    form = page[page.index('id="filter-form"') :].partition("</form>")[0]
    sent = dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]+)"', form))
    assert sent == chosen
    assert re.search(rf'<option value="{alice.account.pk}" selected>Alice</option>', form)


def test_changes_are_found_by_account_and_by_row(desk: Client, gold: Any, alice: Tenant, bob: Tenant) -> None:
    assert _shown(desk, account_id=bob.account.pk)[0] == "plan created Silver"
    assert _shown(desk, row_type="plans.Plan", row_id=gold.pk) == ["plan changed Gold", "plan created Gold"]
    assert _shown(desk, row_type="plans.Plan", row_id="x") == []


def test_a_period_is_of_whole_days_with_its_ends(desk: Client, gold: Any) -> None:
    plans.update_plan(gold, by=BY, max_requests=8)
    entry = AuditEntry.objects.latest("id")
    entry.at = datetime(2026, 3, 31, 23, 59, 59, tzinfo=UTC)
    entry.save()
    assert _shown(desk, at_from="2026-03-01", at_to="2026-03-31") == ["plan changed Gold"]
    assert _shown(desk, at_from="2026-03-01", at_to="2026-03-30") == []
    assert _shown(desk, at_to="2026-03-30") == []
    assert len(_shown(desk, at_from="nonsense")) == AuditEntry.objects.count()


def test_what_is_on_record_is_offered_to_choose_from(desk: Client, gold: Any) -> None:
    assert audit.actions_on_record() == sorted(set(AuditEntry.objects.values_list("action", flat=True)))
    assert {"plans.Plan", "accounts.Account"} <= set(audit.row_types_on_record())


def test_the_list_costs_the_same_however_long(desk: Client, gold: Any) -> None:
    def cost() -> int:
        with counting_queries() as queries:
            assert desk.get(reverse(LIST), {"row_type": "plans.Plan"}).status_code == 200
        return len(queries)

    few = cost()
    for number in range(8):
        plans.update_plan(gold, by=BY, max_requests=10 + number)
    assert cost() == few <= 12


def test_one_rows_history_says_whose_it_is_and_leads_back(desk: Client, gold: Any) -> None:
    page = desk.get(reverse("admin:plans_plan_history", args=[gold.pk]), follow=True).content.decode()
    assert re.search(r'role="note">Of the plan Gold<', page)
    assert reverse("admin:plans_plan_change", args=[gold.pk]) in page


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ({"max_requests": 5}, {"max_requests": 7}, ["max requests: 5 → 7"]),
        ({}, {"is_active": True}, ["is active: yes"]),
        ({"email": ""}, {"email": "a@b"}, ["email: nothing → a@b"]),
        ({"groups": ["a", "b"]}, {"groups": ["b", "c"]}, ["groups: + c, − a"]),
        ({"name": "x"}, {}, ["name: x"]),
        ({"at": None}, {"at": "2026-11-26T15:24:17.329853+00:00"}, ["at: nothing → 2026-11-26 15:24 UTC"]),
        ({}, {"filter": {"q": "x"}}, ["filter: q x"]),
    ],
)
def test_a_change_reads_as_a_person_would_say_it(
    before: dict[str, Any], after: dict[str, Any], expected: list[str]
) -> None:
    assert list(changes.lines_of(AuditEntry(before=before, after=after))) == expected


# --- the export ---------------------------------------------------------------------------------------------------
def test_an_export_is_what_the_list_shows(desk: Client, gold: Any) -> None:
    rows = _rows(_exported(desk, row_type="plans.Plan"))
    assert [(row["action"], row["row_name"]) for row in rows] == [
        ("plan created", "Silver"), ("plan changed", "Gold"), ("plan created", "Gold"),
    ]  # fmt: skip
    assert (json.loads(rows[1]["before"]), json.loads(rows[1]["after"])) == ({"max_requests": 100}, {"max_requests": 7})
    assert (rows[1]["account"], rows[1]["actor_kind"], rows[1]["address"]) == ("Alice", "command", "")


def test_an_export_in_ndjson_says_the_same(desk: Client, gold: Any) -> None:
    told = [json.loads(line) for line in _exported(desk, "ndjson", row_type="plans.Plan").splitlines()]
    assert [each["row_name"] for each in told] == ["Silver", "Gold", "Gold"]
    assert told[1]["after"] == {"max_requests": 7}


def test_pages_of_an_export_neither_overlap_nor_leave_out(
    desk: Client, gold: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(changes, "PAGE_ROWS", 2)
    same = timezone.now() - timedelta(hours=1)
    for entry in AuditEntry.objects.all()[:5]:  # of one instant
        entry.at = same
        entry.save()
    expected = list(AuditEntry.objects.order_by("-at", "-id").values_list("action", "row_id"))
    rows = _rows(_exported(desk))
    assert [(row["action"], int(row["row_id"])) for row in rows] == expected
    monkeypatch.setattr(changes, "ROWS_MAX", 3)
    assert len(_rows(_exported(desk))) == 3


def test_no_cell_of_an_export_is_a_formula(desk: Client, alice: Tenant) -> None:
    alice.plan(name="=1+1")
    (row,) = _rows(_exported(desk, row_type="plans.Plan"))
    assert row["row_name"] == "'=1+1"


def test_an_export_is_on_record_itself(desk: Client, gold: Any) -> None:
    _exported(desk, row_type="plans.Plan")
    entry = AuditEntry.objects.latest("id")
    assert (entry.actor_name, entry.action) == ("sam", "staff member exported changes")
    assert entry.after == {"format": "csv", "filter": {"row_type": "plans.Plan"}}


def test_an_export_is_asked_for_by_post_in_a_form_there_is(desk: Client, gold: Any) -> None:
    assert desk.get(reverse(EXPORT)).status_code == 405
    assert desk.post(reverse(EXPORT), {"format": "xlsx"}).status_code == 405
    assert desk.post(reverse(EXPORT, query={"account_id__nonsense": "1"}), {"format": "csv"}).status_code == 400


def test_who_may_not_see_people_exports_none(alice: Tenant) -> None:
    alice.user(email="uma@example.com")
    sync_roles()
    staff = Staff.objects.create_user("vera", password="a long one", is_staff=True)
    staff.groups.add(Group.objects.get(name=Role.VIEWER.value))
    client = Client()
    client.force_login(staff)
    rows = _rows(_exported(client, action_done="user created"))
    assert [(row["row_name"], row["after"]) for row in rows] == [("•••", "•••")]
    assert "uma@example.com" not in client.get(reverse(LIST)).content.decode()
