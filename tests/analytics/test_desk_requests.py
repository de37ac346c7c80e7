"""The request explorer as staff use it: one app, a time, filters, pages; and what who may not see it is shown."""

from datetime import timedelta
from types import SimpleNamespace
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from django.test import Client
from django.urls import reverse

from accounts.models import Staff
from accounts.roles import Role
from analytics.models import Environment, RequestSource
from limitly_site.desk import NAVIGATION
from tests.analytics.explorers import DAY, NOON, PERIOD, as_role, explore, sent, urls
from tests.analytics.filed import endpoint, file_rows, observe, request
from tests.cast import Tenant
from tests.queries import counting_queries

SECOND = timedelta(seconds=1)
PAGE = "/admin/desk/requests/"


@pytest.fixture
def prod(alice: Tenant) -> Environment:
    return observe(alice)


def file_some(prod: Environment, number: int, **fields: Any) -> None:
    """So many requests a second apart, numbered by their urls, the oldest 0."""
    route = prod.app.endpoints.first() or endpoint(prod.app, "GET /orders")
    file_rows(request(prod, route, NOON + n * SECOND, **{"url": f"/n/{n}"} | fields) for n in range(number))


# --- which app ----------------------------------------------------------------------------------------------------
def test_the_only_app_is_chosen_by_itself(desk: Client, prod: Environment) -> None:
    assert desk.get(PAGE).context["app"] == prod.app


def test_of_several_apps_one_is_found_by_its_name_or_its_accounts(desk: Client, alice: Tenant, bob: Tenant) -> None:
    for tenant in (alice, bob):
        observe(tenant)
    whole, bobs = desk.get(PAGE), desk.get(PAGE, {"q": "ob"})
    assert [str(app.account) for app, _ in whole.context["rows"]] == ["Alice", "Bob"]
    assert [str(app.account) for app, _ in bobs.context["rows"]] == ["Bob"]
    assert "No app and no account" in desk.get(PAGE, {"q": "nobody"}).content.decode()


def test_beside_each_app_lead_links_to_what_is_asked_for_most(desk: Client, alice: Tenant, prod: Environment) -> None:
    observe(alice)
    links = {link.title: link.address for _, links in desk.get(PAGE).context["rows"][:1] for link in links}
    denied = desk.get(links["Denied, last 7 days"])
    errors = desk.get(links["Errors, yesterday"])
    assert denied.context["period"].end - denied.context["period"].start == 7 * DAY
    assert denied.context["asked"] == ["Outcome denied"]
    assert (errors.context["period"].name, errors.context["asked"]) == ("yesterday", ["Status 4xx,5xx"])


def test_without_apps_the_page_says_what_to_do(desk: Client) -> None:
    assert reverse("admin:analytics_app_add") in desk.get(PAGE).content.decode()


# --- filters ------------------------------------------------------------------------------------------------------
def test_presets_and_times_keep_what_else_was_chosen(desk: Client, prod: Environment) -> None:
    answer = explore(desk, prod.app, method="GET", status="404")
    presets = {link.title: link for link in answer.context["presets"]}
    denied = parse_qs(urlsplit(presets["Denied"].address).query)
    assert (denied["method"], denied["outcome"], "status" in denied) == (["GET"], ["denied"], False)
    week = next(link for link in answer.context["periods"] if link.title == "Last 7 days")
    kept = parse_qs(urlsplit(week.address).query)
    assert (kept["status"], kept["period"], "from" in kept) == (["404"], ["7d"], False)
    chosen = explore(desk, prod.app, status="4xx,5xx").context["presets"]
    assert [link.title for link in chosen if link.is_chosen] == ["Errors"]


def test_a_form_that_was_sent_becomes_an_address(desk: Client, prod: Environment, alice: Tenant) -> None:
    user = alice.user(email="uma@example.com")
    answer = sent(
        desk, prod.app, env=prod.pk, status=" 404, 5xx", method="post,get", path="/orders/*", user="UMA@example.com",
        at_least_ms="5", ip="10.1.2.3",
    )  # fmt: skip
    query = {name: text for name, (text,) in parse_qs(urlsplit(answer["Location"]).query).items()}
    assert query == PERIOD | {
        "app": str(prod.app_id), "env": str(prod.pk), "status": "404,5xx", "method": "GET,POST", "path": "/orders/*",
        "user": str(user.pk), "at_least_ms": "5", "ip": "10.1.2.3",
    }  # fmt: skip
    assert desk.get(answer["Location"]).status_code == 200


def test_of_a_periods_name_and_the_times_beside_it_counts_what_was_changed(desk: Client, prod: Environment) -> None:
    times = f"{PERIOD['from']}~{PERIOD['to']}"
    for period, shown, expected in (
        ("7d", f"7d~{times}", ["7d"]),  # nothing was
        ("7d", f"24h~{times}", ["7d"]),
        ("7d", f"24h~2026-01-01T00:00~{PERIOD['to']}", ["7d"]),
        ("7d", f"7d~2026-01-01T00:00~{PERIOD['to']}", ["custom"]),
    ):
        query = parse_qs(urlsplit(sent(desk, prod.app, period=period, shown=shown)["Location"]).query)
        assert query["period"] == expected
        assert query.get("from") == ([PERIOD["from"]] if expected == ["custom"] else None)


def test_a_pasted_secret_finds_its_key_and_stands_in_no_address_and_no_page(
    desk: Client, prod: Environment, alice: Tenant
) -> None:
    issued = alice.key()
    address = sent(desk, prod.app, key=issued.secret)["Location"]
    assert parse_qs(urlsplit(address).query)["key"] == [issued.api_key.public_id]
    unknown = "lk_user_" + 32 * "0"
    refused = sent(desk, prod.app, key=unknown).content.decode()
    assert "No API key of this account has this secret." in refused
    assert unknown not in refused
    typed = desk.get(PAGE, {"app": str(prod.app_id), "key": issued.secret})
    assert "A secret must stand in no address" in typed.content.decode()
    assert issued.secret not in typed.content.decode()


@pytest.mark.parametrize(
    ("field", "given", "said"),
    [
        ("status", "bad", "Give statuses"),
        ("ip", "10.1", "Give an IP address"),
        ("key", "key_unknown", "No API key of this account"),
        ("user", "99999999", "No user of this account"),
        ("user", "nobody@example.com", "No user of this account"),
        ("at_least_ms", "-1", "greater than or equal to 0"),
        ("at_most_ms", "1", "no less than the other"),
        ("env", "1000000", "Select a valid choice"),
        ("outcome", "maybe", "Select a valid choice"),
    ],
)
def test_what_cannot_be_asked_is_said_beside_its_field(
    desk: Client, prod: Environment, field: str, given: str, said: str
) -> None:
    file_some(prod, 1)
    answer = explore(desk, prod.app, **({"at_least_ms": "5"} if field == "at_most_ms" else {}), **{field: given})
    assert said in " ".join(answer.context["form"].errors[field])
    assert answer.context["page"] is None


def test_another_accounts_key_and_user_are_not_known(desk: Client, prod: Environment, bob: Tenant) -> None:
    key, user = bob.key(), bob.user(email="bo@example.com")
    for given in ({"key": key.api_key.public_id}, {"key": key.secret}, {"user": user.pk}, {"user": "bo@example.com"}):
        assert sent(desk, prod.app, **given).status_code == 200  # no address: the form again


# --- pages --------------------------------------------------------------------------------------------------------
def test_pages_lead_back_in_time_and_miss_nothing_while_requests_arrive(desk: Client, prod: Environment) -> None:
    file_some(prod, 120)
    seen, answer = [], explore(desk, prod.app)
    for _ in range(3):
        seen += urls(answer)
        file_rows([request(prod, prod.app.endpoints.get(), NOON + 200 * SECOND, url="late")])
        if answer.context["next"]:
            answer = desk.get(answer.context["next"])
    assert seen == [f"/n/{number}" for number in reversed(range(120))]
    assert answer.context["next"] is None
    assert urls(desk.get(answer.context["newest"]))[:4] == ["late", "late", "late", "/n/119"]


def test_a_period_that_ends_now_ends_there_on_every_page(
    desk: Client, prod: Environment, monkeypatch: pytest.MonkeyPatch
) -> None:
    file_some(prod, 60)
    moments = iter(NOON + n * 60 * SECOND for n in range(1, 9))
    monkeypatch.setattr("analytics.desk.requests.timezone", SimpleNamespace(now=lambda: next(moments)))
    first = desk.get(PAGE, {"app": str(prod.app_id), "period": "1h"})
    second = desk.get(first.context["next"])
    assert (len(urls(first)), len(urls(second))) == (50, 10)
    assert second.context["period"].end == first.context["period"].end == NOON + 60 * SECOND


def test_a_search_that_finds_little_says_how_far_it_has_come(
    desk: Client, prod: Environment, monkeypatch: pytest.MonkeyPatch
) -> None:
    file_some(prod, 120)
    monkeypatch.setattr("analytics.exploring.EXAMINED_MAX", 50)
    first = explore(desk, prod.app, at_least_ms=99_999)
    assert (urls(first), first.context["is_bounded"]) == ([], True)
    assert 'Searched back until <time datetime="2026-06-15T12:01:10+00:00">' in first.content.decode()
    last = desk.get(desk.get(first.context["next"]).context["next"])
    assert (last.context["next"], "No request matches" in last.content.decode()) == (None, True)


@pytest.mark.parametrize("place", ["x", "2026-06-15~", "2026-06-15T12:00:00~1", "9999-12-31T23:59:59+00:00~x", "~"])
def test_a_place_that_is_none_is_the_beginning(desk: Client, prod: Environment, place: str) -> None:
    file_some(prod, 1)
    assert urls(explore(desk, prod.app, before=place, until=place)) == ["/n/0"]


def test_a_page_costs_as_many_queries_however_many_rows_it_shows(desk: Client, prod: Environment) -> None:
    def cost() -> int:
        with counting_queries() as queries:
            explore(desk, prod.app, status="2xx", path="/*")
        return len(queries)

    file_some(prod, 1)
    explore(desk, prod.app)
    few = cost()
    for number in range(49):
        one = prod.app.consumers.create(identifier=f"c{number}")
        row = request(prod, prod.app.endpoints.get(), NOON, consumer_id=one.pk, source=RequestSource.REPORT)
        file_rows([row])
    assert cost() == few <= 20


# --- who may ------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("role", Role)
def test_each_role_sees_requests_and_who_sees_people_exports_them(prod: Environment, role: Role) -> None:
    file_some(prod, 1)
    answer = explore(as_role(role), prod.app)
    assert urls(answer) == ["/n/0"]
    assert ("Export CSV" in answer.content.decode()) is (role is not Role.VIEWER)


def test_a_viewer_sees_no_personal_data_and_cannot_ask_for_it(prod: Environment, alice: Tenant) -> None:
    uma = prod.app.consumers.create(identifier="uma@example.com", name="Uma Underwood")
    file_some(prod, 1, consumer_id=uma.pk, client_ip="10.9.8.7", url="/n?email=uma@example.com")
    viewer = as_role(Role.VIEWER)
    page = explore(viewer, prod.app).content.decode()
    assert "/orders" in page
    for personal in ("uma@example.com", "Underwood", "10.9.8.7", "/n?"):
        assert personal not in page
    for name, text in {"consumer": "uma@example.com", "ip": "10.9.8.7", "user": "1"}.items():
        assert viewer.get(PAGE, {"app": str(prod.app_id), name: text}).status_code == 403
        assert sent(viewer, prod.app, **{name: text}).status_code == 403
    assert viewer.post(f"{PAGE}export/?app={prod.app_id}", {"format": "csv"}).status_code == 403


def test_who_may_not_see_requests_is_refused_and_finds_no_link(prod: Environment, stores: object) -> None:
    client = Client()
    client.force_login(Staff.objects.create_user("new", password="a long one", is_staff=True))
    assert client.get(PAGE).status_code == 403
    assert client.post(PAGE).status_code == 403
    assert client.post(f"{PAGE}export/").status_code == 403
    assert PAGE not in client.get(reverse("admin:index")).content.decode()
    assert PAGE in {str(item["link"]) for item in NAVIGATION[0]["items"]}
