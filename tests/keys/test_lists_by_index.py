"""Lists of a million rows are searched, filtered and sorted by an index: PostgreSQL is asked for its plan."""

from typing import Any
from unittest.mock import patch

import pytest
from django.db import connection
from django.db.backends.utils import CursorWrapper
from django.test import Client
from django.urls import reverse

from accounts.models import Account, AuditEntry, User
from keys.ledger.drain import drain_all
from keys.models import ApiKey, Decision, Outcome, UsageWindow
from plans.models import Subscription
from tests.cast import Tenant
from tests.conftest import ApiClient
from tests.queries import counting_queries

# Whatever else could do it in a table of few rows is forbidden; what is left is the index, if there is one.
BY_INDEX_ALONE = (
    "SET LOCAL enable_seqscan = off; SET LOCAL enable_indexscan = off; SET LOCAL enable_indexonlyscan = off"
)
# Those of live rows would serve any question about them, by reading all: they are put aside while a plan is made.
PUT_ASIDE = """
DROP INDEX user_live; DROP INDEX user_newest; DROP INDEX user_disabled;
DROP INDEX api_key_live; DROP INDEX api_key_newest; DROP INDEX api_key_inactive
"""
# Like the decision that there is, one after the other.
MANY_MORE = """
INSERT INTO keys_decision
SELECT (jsonb_populate_record(d, jsonb_build_object('id', gen_random_uuid(), 'at', d.at - n * interval '1 us'))).*
  FROM keys_decision AS d, generate_series(1, 20000) AS n
"""
FILTERS_OF_CHANGES: list[tuple[str, ...]] = [
    (), ("account",), ("row_type", "row_id"), ("row_type",), ("actor_kind",), ("actor_name",), ("action",),
]  # fmt: skip


def _plans(desk: Client, url: str, query: dict[str, Any]) -> str:
    """How the statements of this page are carried out, all together."""
    asked: list[tuple[str, Any]] = []
    execute = CursorWrapper.execute

    def noted(self: CursorWrapper, sql: Any, params: Any = None) -> Any:
        asked.append((str(sql), params))
        return execute(self, sql, params)

    with patch.object(CursorWrapper, "execute", noted):
        assert desk.get(url, query).status_code == 200
    with connection.cursor() as cursor:
        cursor.execute("BEGIN")
        cursor.execute(BY_INDEX_ALONE)
        cursor.execute(PUT_ASIDE)
        plans = []
        for sql, params in asked:
            if sql.startswith("SELECT"):
                cursor.execute(f"EXPLAIN {sql}", params)
                plans += [line for (line,) in cursor.fetchall()]
        cursor.execute("ROLLBACK")
    return "\n".join(plans)


@pytest.mark.parametrize(
    ("page", "query", "indexes"),
    [
        ("accounts_user", {"q": "uma"}, {"user_by_name", "user_by_address"}),
        (
            "keys_apikey",
            {"q": "abcd"},
            {
                "api_key_public_id",
                "api_key_by_name",
                "api_key_secret_by_end",
                "api_key_secret_by_start",
                "user_by_name",
            },
        ),
        ("keys_apikeysecret", {"q": "abcd"}, {"api_key_secret_by_end", "api_key_public_id"}),
        ("plans_subscription", {"q": "uma@"}, {"user_by_address"}),
        ("accounts_auditentry", {"q": "gold"}, {"change_of_name"}),
        ("accounts_auditentry", {"actor_name": "sam"}, {"change_by_actor"}),
        ("accounts_auditentry", {"action_done": "plan changed"}, {"change_action"}),
        ("analytics_consumer", {"q": "uma"}, {"consumer_by_identifier", "consumer_by_name"}),
        ("analytics_endpoint", {"q": "/orders"}, {"endpoint_by_path"}),
    ],
)
def test_a_list_is_searched_by_an_index(
    desk: Client, alice: Tenant, page: str, query: dict[str, Any], indexes: set[str]
) -> None:
    alice.key(user=alice.user(alice.plan(), email="uma@example.com"))
    plans = _plans(desk, reverse(f"admin:{page}_changelist"), query)
    assert {index for index in indexes if f"on {index}" not in plans} == set()


def test_an_accounts_rare_denials_are_found_among_those_over_its_quota(api: ApiClient, alice: Tenant) -> None:
    api.validate(alice, alice.key(plan=alice.plan(0)).secret)
    drain_all(for_s=5)
    with connection.cursor() as cursor:
        cursor.execute(MANY_MORE)
        cursor.execute("ANALYZE keys_decision")
    listed = Decision.objects.filter(account_id=alice.account.pk, outcome=Outcome.USER_DISABLED).order_by("-at", "-id")
    plan = listed.explain()
    assert "account_id_outcome_at_id_idx" in plan, plan


@pytest.mark.parametrize(
    ("model", "columns"),
    [
        (User, ("-id",)),
        (User, ("account", "-id")),
        (ApiKey, ("-id",)),
        (ApiKey, ("account", "-id")),
        (Subscription, ("account", "-id")),
        (UsageWindow, ("account_id", "end", "units_allowed")),
        (Account, ("name", "-id")),
        *((AuditEntry, (*filtered, "-at", "-id")) for filtered in FILTERS_OF_CHANGES),
    ],
)
def test_a_list_has_an_index_in_its_order(model: Any, columns: tuple[str, ...]) -> None:
    """In tables of few rows PostgreSQL's choice is chance; that there is the index is none."""
    assert columns in {tuple(index.fields) for index in model._meta.indexes}


def test_windows_are_listed_in_their_indexs_order(api: ApiClient, desk: Client, alice: Tenant) -> None:
    """Those that end last, and of these those who spent most, whichever was written first."""
    for cost, period in ((2, "month"), (7, "month"), (5, "month"), (1, "year")):
        api.validate(alice, alice.key(plan=alice.plan(10, period)).secret, cost=cost)
    drain_all(for_s=5)
    page = desk.get(reverse("admin:keys_usagewindow_changelist"), {"account_id": alice.account.pk})
    assert [row.units_allowed for row in page.context["cl"].result_list] == [1, 7, 5, 2]


@pytest.mark.parametrize("model", [User, ApiKey])
def test_what_is_rare_and_looked_for_has_an_index_of_its_own(model: Any) -> None:
    conditions = [str(index.condition) for index in model._meta.indexes if index.condition is not None]
    rare = {User: "is_disabled", ApiKey: "inactive"}[model]
    assert [condition for condition in conditions if rare in condition]


def test_no_column_without_an_index_is_sorted_by(desk: Client, alice: Tenant) -> None:
    """Neither by its head, nor by an address that somebody typed."""
    page = desk.get(reverse("admin:keys_apikey_changelist"), {"o": "1.-7"})
    assert "sortable" not in page.content.decode()
    ordered = str(page.context["cl"].queryset.query).partition("ORDER BY")[2]
    assert ordered.strip() == '"keys_apikey"."id" DESC'


@pytest.mark.parametrize("text", ["x'); --", "%", "_", "\\", "ü" * 300, "a b", '"quoted'])
def test_a_search_is_taken_by_its_letters(desk: Client, alice: Tenant, text: str) -> None:
    user = alice.user()
    User.objects.filter(pk=user.pk).update(name=text[:100])
    page = desk.get(reverse("admin:accounts_user_changelist"), {"q": text[:100]})
    assert [row.pk for row in page.context["cl"].result_list] == [user.pk]


def test_a_key_is_found_through_whom_it_belongs_to(desk: Client, alice: Tenant, bob: Tenant) -> None:
    mine = alice.key(user=alice.user(email="uma@example.com")).api_key
    bob.key(user=bob.user(email="ugo@example.com"))
    for text in ("UMA@ex", mine.public_id, mine.secrets.get().last4):
        found = desk.get(reverse("admin:keys_apikey_changelist"), {"q": text}).context["cl"].result_list
        assert mine in found, text
        assert text == mine.secrets.get().last4 or list(found) == [mine]


def test_an_autocomplete_searches_by_the_same_lookups(desk: Client, alice: Tenant) -> None:
    user = alice.user(email="uma@example.com")
    told = {"app_label": "keys", "model_name": "apikey", "field_name": "user", "term": "uma@"}
    with counting_queries() as queries:
        answer = desk.get(reverse("admin:autocomplete"), told)
    assert [each["id"] for each in answer.json()["results"]] == [str(user.pk)]
    assert len(queries) <= 6


@pytest.mark.parametrize("id_", ["nonsense", "00000000-0000-0000-0000-000000000000", "f" * 32])
def test_a_decision_that_is_none_has_no_page(desk: Client, alice: Tenant, id_: str) -> None:
    assert desk.get(reverse("admin:keys_decision_change", args=[id_])).status_code == 302
