"""The request explorer: whose requests, of which time, filtered how; shown newest first, page by page, or exported."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, NamedTuple
from uuid import UUID

from django.conf import settings
from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseBase, HttpResponseRedirect, QueryDict
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.http import urlencode
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_POST

from accounts.admin import VEIL, staff_of
from accounts.api.streaming import NDJSON, stream
from accounts.roles import SEE_PERSONAL_DATA
from analytics import services
from analytics.desk.period import CUSTOM, NAMES, Period, period_of
from analytics.desk.request_filters import PERSONAL, RequestFilterForm
from analytics.exploring import EXPORTED, ExploredPage, TooManyConsumers, export_of, page_of, walk_of
from analytics.exports.request_export import ROWS_MAX
from analytics.exports.writing import csv_head, csv_lines, ndjson
from analytics.models import App
from analytics.request_logs import Position, Walk

SEE_REQUESTS: Final = "analytics.view_requestlog"
ROWS, APPS = 50, 50
# What stands in the address beside the filters; `until` is when a relative period ended as its first page was read.
OF_PERIOD = ("period", "from", "to", "zone")
PRESETS: Final[Mapping[str, Mapping[str, str]]] = {
    "All": {},
    "Errors": {"status": "4xx,5xx"},
    "Server errors": {"status": "5xx"},
    "Denied": {"outcome": "denied"},
    "Slow (1 s or more)": {"at_least_ms": "1000"},
}
COLUMNS = ("Time", "Status", "Request", "Took", "Consumer", "Key and user", "Environment", "Client")
OF_PRESETS = ("status", "outcome", "at_least_ms", "at_most_ms")
# Straight to what is asked for most; beside each app where one must be chosen, too.
SHORTCUTS: Final[Mapping[str, Mapping[str, str]]] = {
    "All, last 24 hours": {},
    "Errors, yesterday": {"status": "4xx,5xx", "period": "yesterday"},
    "Denied, last 7 days": {"outcome": "denied", "period": "7d"},
}


class Format(NamedTuple):
    """Of an export. Headers and bodies stand in lines of JSON alone: they are no cells of a table."""

    suffix: str
    content_type: str
    with_details: bool = False


FORMATS: Final[Mapping[str, Format]] = {
    "csv": Format("csv", "text/csv; charset=utf-8"),
    "ndjson": Format("ndjson", NDJSON),
    "ndjson-with-bodies": Format("ndjson", NDJSON, with_details=True),
}


@dataclass(frozen=True, slots=True)
class Link:
    title: str
    address: str
    is_chosen: bool = False

    @property
    def variant(self) -> str:
        return "primary" if self.is_chosen else "default"

    @property
    def attrs(self) -> dict[str, str]:
        return {"aria-current": "true"} if self.is_chosen else {}


@dataclass(frozen=True, slots=True)
class Question:
    """What a request to the explorer asks of an app."""

    app: App
    period: Period
    form: RequestFilterForm
    until: datetime

    @property
    def query(self) -> dict[str, str]:
        return {"app": str(self.app.pk), **self.period.query, **(self.form.query if self.form.is_valid() else {})}

    def walk(self) -> Walk | None:
        """Errors: TooManyConsumers."""
        return walk_of(self.app, self.form.sought, start=self.period.start, end=self.period.end)


@sensitive_post_parameters("key")
def requests_page(request: HttpRequest) -> HttpResponse:
    _refuse_strangers(request)
    app = _app_of(request)
    if app is None:
        return _choose_app(request)
    question = _question(request, app)
    if request.method == "POST" and question.form.is_valid():
        return HttpResponseRedirect(_address(_sent_query(request, question)))
    context = {
        **admin.site.each_context(request),
        "title": "Requests",
        "app": app,
        "form": question.form,
        "period": question.period,
        "sees_people": _sees_people(request),
        "veil": VEIL,
        "asked": _asked(question),
        "cleared": _address({"app": str(app.pk), **question.period.query}),
        "columns": COLUMNS,
        "kept_days": settings.LIMITLY_REQUEST_LOG_DAYS,
        "shortcuts": _shortcuts(app),
        "presets": _presets(question),
        "periods": _periods(question),
        "is_only_app": not App.objects.exclude(pk=app.pk).exists(),
        **_found(request, question),
    }
    return TemplateResponse(request, "desk/requests.html", context)


@require_POST
def export_page(request: HttpRequest) -> HttpResponseBase:
    """A file leaves the house, and with it whoever is in it: for those alone who may see personal data."""
    _refuse_strangers(request)
    app, form = _app_of(request), request.POST.get("format", "csv")
    if not _sees_people(request) or form not in FORMATS:
        raise PermissionDenied
    if app is None:
        return HttpResponseRedirect(reverse("desk:requests"))
    question = _question(request, app, given=request.GET)
    if not question.form.is_valid():
        return HttpResponseRedirect(f"{reverse('desk:requests')}?{request.GET.urlencode()}")  # where it is said why
    try:
        walk = question.walk()
    except TooManyConsumers:
        return HttpResponseRedirect(_address(question.query))
    period = question.period
    told = {"format": form, "from": period.start.isoformat(), "to": period.end.isoformat(), **question.form.query}
    services.record_request_export(app, told=told, by=staff_of(request))
    chosen = FORMATS[form]
    answer = stream(request, _parts(walk, question, chosen), content_type=chosen.content_type)
    name = f"requests-{app.pk}-{period.start:%Y%m%dT%H%M%SZ}-{period.end:%Y%m%dT%H%M%SZ}.{chosen.suffix}"
    answer["Content-Disposition"] = f'attachment; filename="{name}"'
    answer["Cache-Control"] = "no-store"
    return answer


def _parts(walk: Walk | None, question: Question, chosen: Format) -> Iterator[bytes]:
    time = question.period
    pages = export_of(walk, question.app, start=time.start, end=time.end, with_details=chosen.with_details)
    is_csv = chosen.suffix == "csv"
    if is_csv:
        yield csv_head(EXPORTED)
    for page in pages:
        yield csv_lines(page.rows) if is_csv else ndjson(page.rows)


def _refuse_strangers(request: HttpRequest) -> None:
    """Errors: PermissionDenied, also for who filters by what they may not see."""
    if not request.user.has_perm(SEE_REQUESTS):
        raise PermissionDenied
    given = {*request.GET, *request.POST} & set(PERSONAL)
    if given and not _sees_people(request):
        raise PermissionDenied


def _sees_people(request: HttpRequest) -> bool:
    return request.user.has_perm(SEE_PERSONAL_DATA)


def _app_of(request: HttpRequest) -> App | None:
    """The one that was asked for, or the only one there is."""
    apps = App.objects.select_related("account")
    given = request.GET.get("app", "")
    if given.isascii() and given.isdecimal() and len(given) < 19:
        return apps.filter(pk=int(given)).first()
    first = list(apps.order_by("pk")[:2])
    return first[0] if len(first) == 1 else None


def _question(request: HttpRequest, app: App, given: QueryDict | None = None) -> Question:
    until = _moment(request.GET.get("until", "")) or timezone.now()
    if given is None:
        given = request.POST if request.method == "POST" else request.GET
    form = RequestFilterForm(given, app=app, sees_people=_sees_people(request), may_hold_secrets=given is request.POST)
    return Question(app, period_of(request, now=until), form, until)


def _sent_query(request: HttpRequest, question: Question) -> dict[str, str]:
    """Of a form that was sent: its period goes by its name or, where they alone were changed, by its times."""
    chosen = {name: request.POST.get(name, "") for name in OF_PERIOD}
    shown = request.POST.get("shown", "").split("~")
    if shown[0] == chosen["period"] and shown[1:] != [chosen["from"], chosen["to"]]:
        chosen["period"] = CUSTOM
    if chosen["period"] != CUSTOM:
        chosen |= {"from": "", "to": ""}
    return {"app": str(question.app.pk), **{name: text for name, text in chosen.items() if text}, **question.form.query}


def _found(request: HttpRequest, question: Question) -> dict[str, Any]:
    """The page of rows, and where it leads: nothing where the form is wrong."""
    if not question.form.is_valid():
        return {"page": None}
    before = _place(request.GET.get("before", ""))
    period = question.period
    try:
        walk = question.walk()
    except TooManyConsumers as refusal:
        question.form.add_error("consumer", str(refusal))
        return {"page": None}
    page = (
        ExploredPage([], None)
        if walk is None
        else page_of(walk, question.app, start=period.start, end=period.end, before=before, limit=ROWS)
    )
    pinned = question.query | {"until": question.until.isoformat()}
    return {
        "page": page,
        "is_bounded": page.end is not None and len(page.rows) < ROWS,
        "next": page.end and _address(pinned | {"before": f"{page.end.at.isoformat()}~{page.end.uuid}"}),
        "newest": _address(question.query) if before else "",
        "export": reverse("desk:export-requests") + "?" + urlencode(pinned),
        "rows_max": ROWS_MAX,
    }


def _presets(question: Question) -> list[Link]:
    rest = {name: text for name, text in question.query.items() if name not in OF_PRESETS}
    now = {name: question.query[name] for name in OF_PRESETS if name in question.query}
    return [Link(title, _address({**rest, **preset}), preset == now) for title, preset in PRESETS.items()]


def _asked(question: Question) -> list[str]:
    """The filters in force, as their fields name them."""
    if not question.form.is_valid():
        return []
    form = question.form
    names = dict(form.fields["env"].choices)  # type: ignore[attr-defined]
    shown = form.query | ({"env": names[form.query["env"]]} if "env" in form.query else {})
    return [f"{form[name].label} {text}" for name, text in shown.items()]


def _periods(question: Question) -> list[Link]:
    rest = {name: text for name, text in question.query.items() if name not in ("period", "from", "to")}
    return [
        Link(title, _address(rest | {"period": name}), name == question.period.name)
        for name, title in NAMES.items()
        if name != CUSTOM
    ]


def _choose_app(request: HttpRequest) -> HttpResponse:
    text = request.GET.get("q", "").strip()
    found = list(_apps_named(text)[: APPS + 1])
    rows = [(app, _shortcuts(app)) for app in found[:APPS]]
    context = {
        **admin.site.each_context(request),
        "title": "Requests",
        "subtitle": "of which app?",
        "text": text,
        "rows": rows,
        "has_more": len(found) > APPS,
    }
    return TemplateResponse(request, "desk/requests_of_which_app.html", context)


def _shortcuts(app: App) -> list[Link]:
    return [Link(title, _address({"app": str(app.pk), **query})) for title, query in SHORTCUTS.items()]


def _apps_named(text: str) -> QuerySet[App]:
    apps = App.objects.select_related("account").order_by("account__name", "name", "pk")
    return apps.filter(Q(name__icontains=text) | Q(account__name__icontains=text)) if text else apps


def _address(query: Mapping[str, str]) -> str:
    return f"{reverse('desk:requests')}?{urlencode(query)}"


def _place(text: str) -> Position | None:
    """Of `<time>~<uuid>`, as pages say it of themselves; what is none is the beginning."""
    at, _, uuid = text.partition("~")
    try:
        moment = _moment(at)
        return Position(moment, UUID(uuid)) if moment else None
    except ValueError:
        return None


def _moment(text: str) -> datetime | None:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return moment if moment.tzinfo and 1980 < moment.year < 2900 else None
