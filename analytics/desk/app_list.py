"""Analytics: of which app? Found by its name or its account's; whoever has one app goes straight there."""

from typing import Final

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse

from analytics.desk.app_page import CONSUMERS, ENDPOINTS, ERRORS, PERFORMANCE, SEE_APPS, TRAFFIC, Tab
from analytics.desk.tables import Cell, Column, Table
from analytics.models import App
from analytics.statistics.finding import apps_named

APPS_ON_A_PAGE: Final = 50
TEXT_LENGTH: Final = 128
# What is asked for most, one click away.
SHORTCUTS: Final[tuple[tuple[str, Tab, str], ...]] = (
    ("Endpoints", ENDPOINTS, ""),
    ("Consumers", CONSUMERS, ""),
    ("Performance", PERFORMANCE, ""),
    ("Errors today", ERRORS, "?period=today"),
    ("Yesterday's errors", ERRORS, "?period=yesterday"),
)


def apps_page(request: HttpRequest) -> HttpResponse:
    if not request.user.has_perm(SEE_APPS):
        raise PermissionDenied
    text = request.GET.get("q", "").strip()[:TEXT_LENGTH]
    after = request.GET.get("after", "")
    found = list(_apps(text, after)[: APPS_ON_A_PAGE + 1])
    if len(found) == 1 and not text and not after and "all" not in request.GET:
        return HttpResponseRedirect(_address(TRAFFIC, found[0]))
    shown, has_more = found[:APPS_ON_A_PAGE], len(found) > APPS_ON_A_PAGE
    context = {
        **admin.site.each_context(request),
        "title": "Analytics",
        "subtitle": "of which app?",
        "text": text,
        "table": Table(
            "Apps",
            [Column("App"), Column("Account"), Column("Framework"), *(Column(title) for title, _, _ in SHORTCUTS)],
            [_row(app) for app in shown],
            "No app is known by that name, nor by that of its account." if text else "There is no app yet: add one.",
            next=f"{reverse('desk:apps')}?after={shown[-1].pk}" if has_more and not text else "",
            note=f"The first {APPS_ON_A_PAGE}: type more of the name." if has_more and text else "",
        ),
        "add": reverse("admin:analytics_app_add") if request.user.has_perm("analytics.add_app") else "",
    }
    return TemplateResponse(request, "desk/apps.html", context)


def _row(app: App) -> list[Cell]:
    shortcuts = [Cell(title, f"{_address(tab, app)}{query}") for title, tab, query in SHORTCUTS]
    return [Cell(app.name, _address(TRAFFIC, app)), Cell(app.account.name), Cell(app.framework), *shortcuts]


def _address(tab: Tab, app: App) -> str:
    return reverse(f"desk:{tab.name}", args=[app.pk])


def _apps(text: str, after: str) -> QuerySet[App]:
    """The newest first, by the primary key."""
    if text:
        return apps_named(text)
    apps = App.objects.select_related("account").order_by("-pk")
    return apps.filter(pk__lt=int(after)) if after.isascii() and after.isdecimal() and len(after) < 19 else apps
