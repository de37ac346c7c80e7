"""What the pages about one app share: its tabs, the filters that an address says, and links that carry them on."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any, Final, NamedTuple

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.http import urlencode

from accounts.admin import VEIL
from accounts.desk.charts import Chart, Kind, Series
from accounts.roles import SEE_PERSONAL_DATA
from analytics.desk.period import Period, period_of
from analytics.desk.until import drained_of, told_of
from analytics.models import App, Consumer, Endpoint, Environment, ErrorGroup
from analytics.periods import DAY, QUARTER, TimePeriod, whole
from analytics.statistics.slices import Slice, slice_of
from keys.api import health

SEE_APPS: Final = "analytics.view_app"
SEE_REQUESTS: Final = "analytics.view_requestlog"
ENDPOINTS_LISTED: Final = 1_000
ID_DIGITS: Final = 19  # as many may be more than a bigint holds
# Longer ones would have who waits for the page wait for seconds.
MONTH, YEAR = timedelta(days=31), timedelta(days=400)


class Tab(NamedTuple):
    """`by_traffic`: what it shows can be narrowed to an endpoint and a consumer."""

    name: str
    title: str
    longest: timedelta = MONTH
    by_traffic: bool = True


NOT_BY_TRAFFIC: Final = "Processor and memory are an instance's: they are not told by endpoint and consumer."
TRAFFIC: Final = Tab("app_traffic", "Traffic", longest=YEAR)
ENDPOINTS: Final = Tab("app_endpoints", "Endpoints")
CONSUMERS: Final = Tab("app_consumers", "Consumers")
ERRORS: Final = Tab("app_errors", "Errors")
PERFORMANCE: Final = Tab("app_performance", "Performance")
RESOURCES: Final = Tab("app_resources", "Resources", by_traffic=False)
TABS: Final = (TRAFFIC, ENDPOINTS, CONSUMERS, ERRORS, PERFORMANCE, RESOURCES)


class Filters(NamedTuple):
    """Ids, as an address says them; those of another app were refused."""

    environment: int | None = None
    endpoint: int | None = None
    consumer: int | None = None

    @property
    def query(self) -> dict[str, str]:
        return {name: str(pk) for name, pk in self._asdict().items() if pk is not None}

    @property
    def is_narrowed(self) -> bool:
        return any(pk is not None for pk in self)


class TabLink(NamedTuple):
    title: str
    href: str
    is_open: bool


@dataclass
class AppPage:
    """One request for one tab. The slice is of whole quarter hours, so that charts add up to what stands above them."""

    request: HttpRequest
    app: App
    tab: Tab
    period: Period
    filters: Filters
    slice: Slice
    consumer: Consumer | None
    now: datetime
    notes: list[str] = field(default_factory=list)

    @cached_property
    def tiles(self) -> list[TimePeriod]:
        """The periods of a chart, which begin and end with the slice."""
        return self._within(self.period.tiles())

    @cached_property
    def few_tiles(self) -> list[TimePeriod]:
        return self._within(self.period.tiles(are_few=True))

    @cached_property
    def true_until(self) -> datetime:
        """Of every chart of the page: what is not counted yet, lies behind it. Six SELECTs."""
        look = health.Look(self.now)
        return min(told_of(look, drained_of(look)).until, self.period.end)

    @cached_property
    def environments(self) -> list[Environment]:
        return list(Environment.objects.filter(app=self.app).order_by("name"))

    @cached_property
    def endpoints(self) -> list[Endpoint]:
        """By path, those that an app usually has room for."""
        return list(Endpoint.objects.filter(app=self.app).order_by("path", "method")[:ENDPOINTS_LISTED])

    @cached_property
    def sees_people(self) -> bool:
        return self.request.user.has_perm(SEE_PERSONAL_DATA)

    @property
    def consumer_name(self) -> str:
        return self.name_of(self.consumer)

    @property
    def unfiltered(self) -> str:
        return self.address(**Filters()._asdict())

    @property
    def tabs(self) -> list[TabLink]:
        return [TabLink(each.title, self.address(each), each is self.tab) for each in TABS]

    def name_of(self, consumer: Consumer | None) -> str:
        """Veiled, it is still told apart from others by its id."""
        if consumer is None:
            return "(nobody named)"
        return consumer.shown_name if self.sees_people else f"{VEIL} #{consumer.pk}"

    def address(self, tab: Tab | None = None, **changed: str | int | None) -> str:
        """Of a tab with this page's period and filters; None takes one away."""
        query: Mapping[str, str | int | None] = {**self.period.query, **self.filters.query, **changed}
        given = {name: value for name, value in query.items() if value is not None}
        return f"{reverse(f'desk:{(tab or self.tab).name}', args=[self.app.pk])}?{urlencode(given)}"

    def error_address(self, group: ErrorGroup) -> str:
        query = {**self.period.query, **self.filters.query}
        return f"{reverse('desk:app_error', args=[self.app.pk, group.pk])}?{urlencode(query)}"

    def requests_address(
        self, *, status: str, endpoint: Endpoint | None = None, environment_id: int | None = None
    ) -> str:
        """Of the explorer, with the requests of these statuses of this page's period; empty for who may not see them.

        Consumers are known there by what tells of a person: for who may not see that, the link says nothing of them.
        """
        if not self.request.user.has_perm(SEE_REQUESTS):
            return ""
        query = {"app": str(self.app.pk), **self.period.query, "status": status}
        environment_id = environment_id or self.filters.environment
        if environment_id is not None:
            query["env"] = str(environment_id)
        if endpoint is not None:
            query |= {"method": endpoint.method, "path": endpoint.path}
        if self.consumer is not None and self.sees_people:
            query["consumer"] = self.consumer.identifier
        return f"{reverse('desk:requests')}?{urlencode({name: text for name, text in query.items() if text})}"

    def chart(
        self,
        title: str,
        series: Sequence[Series],
        kind: Kind = Kind.LINES,
        *,
        unit: str = "",
        labels: Sequence[str] | None = None,
        is_sample: bool = False,
    ) -> Chart:
        """Over the page's time, unless other labels are given."""
        named = self.labels_of(self.tiles) if labels is None else labels
        return Chart(title, named, series, kind, unit, self.true_until, is_sample)

    def labels_of(self, tiles: Sequence[TimePeriod]) -> list[str]:
        return [self.period.label(tile) for tile in tiles]

    def shown_time(self, moment: datetime) -> str:
        return f"{moment.astimezone(self.period.zone):%Y-%m-%d %H:%M}"

    def render(self, *, template: str = "", **context: Any) -> HttpResponse:
        """The tab's own template, unless another is named."""
        shared = {**admin.site.each_context(self.request), "title": self.app.name, "subtitle": self.tab.title}
        named = template or f"desk/{self.tab.name}.html"
        return TemplateResponse(self.request, named, {**shared, "page": self, **context})

    def _within(self, tiles: Sequence[TimePeriod]) -> list[TimePeriod]:
        start, end = self.slice.start, self.slice.end
        touching = [each for each in tiles if each.start < end and each.end > start]
        return [TimePeriod(max(each.start, start), min(each.end, end)) for each in touching]


def open_page(request: HttpRequest, app_id: int, tab: Tab) -> AppPage:
    """Errors: PermissionDenied; Http404 for an app that is none, and filters that are not its own. Ten SELECTs."""
    if not request.user.has_perm(SEE_APPS):
        raise PermissionDenied
    app = get_object_or_404(App.objects.select_related("account"), pk=app_id)
    now = timezone.now()
    period = period_of(request, now=now)
    filters, notes = _filters(request, app, tab)
    start, end = whole(period.start, max(period.end, period.start + timedelta(microseconds=1)), grain=QUARTER)
    if end - start > tab.longest + QUARTER:
        start = whole(end - tab.longest, end, grain=QUARTER).start
        notes.append(f"This page tells of {tab.longest // DAY} days at most: the last ones of the period are shown.")
    slice_ = slice_of(
        app,
        start=start,
        end=end,
        environment_id=filters.environment,
        endpoint_id=filters.endpoint,
        consumer_id=filters.consumer,
    )
    if slice_ is None:
        raise Http404("This app has no such environment, endpoint or consumer.")
    consumer = None if filters.consumer is None else Consumer.objects.get(pk=filters.consumer)
    return AppPage(request, app, tab, period, filters, slice_, consumer, now, notes)


def _filters(request: HttpRequest, app: App, tab: Tab) -> tuple[Filters, list[str]]:
    """And what is to be said about them. A consumer is asked for by its id, or by whoever may, by its identifier."""
    environment = _id(request, "environment")
    if not tab.by_traffic:
        is_narrowed = any(request.GET.get(name) for name in ("endpoint", "consumer", "who"))
        return Filters(environment), [NOT_BY_TRAFFIC] if is_narrowed else []
    filters = Filters(environment, _id(request, "endpoint"), _id(request, "consumer"))
    who = request.GET.get("who", "").strip()
    if not who or not request.user.has_perm(SEE_PERSONAL_DATA):
        return filters, []
    found = Consumer.objects.filter(app=app, identifier=who).values_list("pk", flat=True).first()
    if found is None:
        return filters._replace(consumer=None), ["This app knows no consumer by that identifier: all are shown."]
    return filters._replace(consumer=found), []


def _id(request: HttpRequest, name: str) -> int | None:
    """Errors: Http404 for what is no id."""
    text = request.GET.get(name, "")
    if not text:
        return None
    if not (text.isascii() and text.isdecimal() and len(text) < ID_DIGITS):
        raise Http404(f"{name}: give an id.")
    return int(text)
