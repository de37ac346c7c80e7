"""From the navigation to an app's pages: straight there with one app, by a few letters with many."""

from datetime import datetime

import pytest
from django.test import Client
from django.urls import reverse

from analytics.desk import app_list
from analytics.models import App
from limitly_site.desk import NAVIGATION
from tests.analytics.filed import observe
from tests.cast import Tenant
from tests.queries import counting_queries

PAGE = "/admin/desk/apps/"


def shown(desk: Client, query: str = "") -> list[str]:
    return [row[0].text for row in desk.get(f"{PAGE}{query}").context["table"].rows]


def test_it_stands_at_the_top_of_the_navigation() -> None:
    assert PAGE in [str(item["link"]) for item in NAVIGATION[0]["items"]]


def test_the_only_app_is_opened_at_once_and_listed_when_asked_for(desk: Client, alice: Tenant) -> None:
    app = observe(alice).app
    assert desk.get(PAGE)["Location"] == reverse("desk:app_traffic", args=[app.pk])
    assert shown(desk, "?all=1") == ["Shop"]


def test_without_an_app_one_can_be_added(desk: Client) -> None:
    answer = desk.get(PAGE)
    assert "There is no app yet" in answer.content.decode()
    assert reverse("admin:analytics_app_add") in answer.content.decode()


def test_apps_are_found_by_the_beginning_of_their_name_or_their_accounts(
    desk: Client, alice: Tenant, bob: Tenant
) -> None:
    observe(alice)
    App.objects.create(account=bob.account, name="Billing")
    assert shown(desk) == ["Billing", "Shop"]
    assert shown(desk, "?q=sh") == shown(desk, "?q=ALI") == ["Shop"]
    assert shown(desk, "?q=bo") == shown(desk, "?q=bill") == ["Billing"]
    assert "No app is known by that name" in desk.get(PAGE, {"q": "%"}).content.decode()


def test_many_apps_are_shown_page_by_page(desk: Client, alice: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(app_list, "APPS_ON_A_PAGE", 2)
    App.objects.bulk_create(App(account=alice.account, name=f"App {number}") for number in range(5))
    found, page = [], PAGE
    while page:
        table = desk.get(page).context["table"]
        found.append([row[0].text for row in table.rows])
        page = table.next
    assert found == [["App 4", "App 3"], ["App 2", "App 1"], ["App 0"]]


def test_yesterdays_errors_are_one_click_away(desk: Client, alice: Tenant) -> None:
    app = observe(alice).app
    cells = desk.get(f"{PAGE}?all=1").context["table"].rows[0]
    link = next(cell.href for cell in cells if cell.text == "Yesterday's errors")
    answer = desk.get(link)
    page = answer.context["page"]
    assert (page.app, page.tab.title, page.period.name) == (app, "Errors", "yesterday")
    assert isinstance(page.period.start, datetime)


def test_an_apps_own_page_and_its_list_lead_to_its_analytics(desk: Client, alice: Tenant) -> None:
    app = observe(alice).app
    there = reverse("desk:app_traffic", args=[app.pk])
    assert there in desk.get(reverse("admin:analytics_app_changelist")).content.decode()
    button = reverse("admin:analytics_app_open_analytics", args=[app.pk])
    assert button in desk.get(reverse("admin:analytics_app_change", args=[app.pk])).content.decode()
    assert desk.get(button)["Location"] == there


def test_the_list_costs_as_many_queries_however_many_apps_there_are(desk: Client, alice: Tenant) -> None:
    App.objects.bulk_create(App(account=alice.account, name=f"App {number}") for number in range(2))
    desk.get(PAGE)
    with counting_queries() as few:
        desk.get(PAGE)
    App.objects.bulk_create(App(account=alice.account, name=f"App {number}") for number in range(40))
    with counting_queries() as many:
        desk.get(PAGE)
    assert len(few) == len(many) <= 5
