"""The list of changes: who did what, when, from where; filtered by indexes, taken along as a file."""

from __future__ import annotations  # ModelAdmin takes no parameters at run time

import re
from collections.abc import Iterator
from datetime import UTC, datetime, time, timedelta
from typing import Any, Final, cast

import msgspec
from django.apps import apps
from django.contrib import admin
from django.contrib.admin.options import IncorrectLookupParameters
from django.core.exceptions import PermissionDenied
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseBadRequest, HttpResponseNotAllowed, StreamingHttpResponse
from django.urls import NoReverseMatch, URLPattern, path, reverse
from django.utils import timezone
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from unfold.contrib.filters.admin import RangeDateFilter, TextFilter
from unfold.utils import parse_date_str

from accounts import audit
from accounts.admin import VEIL, ReadOnlyDesk, staff_of
from accounts.api.streaming import stream
from accounts.csv_cells import csv_rows
from accounts.desk.account_filter import AccountFilter
from accounts.models import AuditEntry, Staff
from accounts.roles import SEE_PERSONAL_DATA

PAGE_ROWS: Final = 2_000
ROWS_MAX: Final = 1_000_000
FORMATS: Final = {"csv": "text/csv; charset=utf-8", "ndjson": "application/x-ndjson"}
COLUMNS: Final = (
    "at", "actor_kind", "actor_name", "address", "account_id", "account", "action", "row_type", "row_id", "row_name",
    "before", "after", "reason",
)  # fmt: skip
# What may tell of a person.
VEILED: Final = frozenset({"address", "row_name", "before", "after", "reason"})
# Kinds of rows that only an administrator sees; a try to log in by a name that nobody has is of none.
OF_STAFF: Final = ("accounts.Staff", "auth.Group", "")
MOMENT: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?\+00:00", re.ASCII)
ENCODER: Final = msgspec.json.Encoder()


class PeriodFilter(RangeDateFilter):  # type: ignore[misc]
    """Whole days of UTC, both included."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self.title = "days (UTC), both included"

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        first, last = (self._day(end) for end in ("from", "to"))
        if first is not None:
            queryset = queryset.filter(**{f"{self.field_path}__gte": first})
        if last is not None:
            queryset = queryset.filter(**{f"{self.field_path}__lt": last + timedelta(days=1)})
        return queryset

    def _day(self, end: str) -> datetime | None:
        day = parse_date_str(self.used_parameters.get(f"{self.parameter_name}_{end}") or "")
        return None if day is None else datetime.combine(day, time.min, UTC)


class WhoFilter(TextFilter):  # type: ignore[misc]
    title = "who, the whole name"
    parameter_name = "actor_name"

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        value = (self.value() or "").replace("\x00", "")
        return queryset.filter(actor_name=value) if value else queryset


class RowFilter(TextFilter):  # type: ignore[misc]
    title = "row's number"
    parameter_name = "row_id"

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        value = self.value() or ""
        if not value:
            return queryset
        is_number = value.isascii() and value.isdecimal() and len(value) < 19
        return queryset.filter(row_id=int(value)) if is_number else queryset.none()


class LinkFilter(admin.SimpleListFilter):
    """Its choices are links. What is chosen stays chosen when the fields beside it are sent (unfold's filter.html)."""

    @property
    def lookup_kwarg(self) -> str:
        return str(self.parameter_name)

    @property
    def lookup_val(self) -> list[str]:
        return [value] if (value := self.value()) else []


class ActionFilter(LinkFilter):
    title = "action"
    parameter_name = "action_done"  # `action` names what a list's form is to do

    def lookups(self, request: HttpRequest, model_admin: admin.ModelAdmin[Any]) -> list[tuple[str, str]]:
        return [(action, action) for action in audit.actions_on_record()]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset.filter(action=self.value()) if self.value() else queryset


class KindFilter(LinkFilter):
    title = "kind of row"
    parameter_name = "row_type"

    def lookups(self, request: HttpRequest, model_admin: admin.ModelAdmin[Any]) -> list[tuple[str, str]]:
        return [(label, kind_of(label)) for label in audit.row_types_on_record()]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset.filter(row_type=self.value()) if self.value() else queryset


@admin.register(AuditEntry)
class AuditEntryAdmin(ReadOnlyDesk):
    """Who changed what: a row's own changes are one link away from its page (Desk.history_view)."""

    list_display = ("at", "who", "action", "row", "differences", "account", "address")
    list_select_related = ("account",)
    list_filter = (
        ("at", PeriodFilter), "actor_kind", WhoFilter, AccountFilter, ActionFilter, KindFilter, RowFilter,
    )  # fmt: skip
    list_before_template = "desk/changes_export.html"
    search_fields = ("row_name__istartswith",)
    personal_fields = ("row_name", "row", "differences", "address")
    fields = ("at", "who", "address", "account", "action", "row", "differences")
    readonly_fields = fields
    ordering = ("-at", "-id")

    def get_queryset(self, request: HttpRequest) -> QuerySet[AuditEntry]:
        """What concerns staff, their roles and log-ins, is seen by who may see staff."""
        entries = super().get_queryset(request)
        if request.user.has_perm("accounts.view_staff"):
            return entries
        return entries.exclude(row_type__in=OF_STAFF)

    @admin.display(description="who")
    def who(self, entry: AuditEntry) -> str:
        return f"{entry.actor_name} ({entry.get_actor_kind_display()})"

    @admin.display(description="what was changed")
    def row(self, entry: AuditEntry) -> str:
        name = entry.row_name or f"number {entry.row_id}" if entry.row_type else "-"
        url = url_of(entry)
        return format_html('<a href="{}">{}</a>', url, name) if url else name

    @admin.display(description="before → after")
    def differences(self, entry: AuditEntry) -> SafeString:
        why = [f"reason: {entry.reason}"] if entry.reason else []
        return format_html_join("", "<div>{}</div>", ((line,) for line in (*lines_of(entry), *why)))

    def get_urls(self) -> list[URLPattern]:
        export = self.admin_site.admin_view(self.export)
        return [path("export/", export, name="accounts_auditentry_export"), *super().get_urls()]

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        export = f"{reverse('admin:accounts_auditentry_export')}?{request.GET.urlencode()}"
        told = {"export_url": export, "export_max": ROWS_MAX} | self._of_one_row(request)
        return super().changelist_view(request, (extra_context or {}) | told)

    def export(self, request: HttpRequest) -> HttpResponse | StreamingHttpResponse:
        """What the list's filters let through, as a file. That it was taken is itself on record."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        form = request.POST.get("format", "")
        if request.method != "POST" or form not in FORMATS:
            return HttpResponseNotAllowed(["POST"])
        try:
            entries = self.get_changelist_instance(request).get_queryset(request)
        except IncorrectLookupParameters:
            return HttpResponseBadRequest("The filter is none.")
        entries = entries.filter(at__lt=timezone.now())
        told = {"format": form, "filter": request.GET.dict()}
        audit.record_done(staff_of(request), cast(Staff, request.user), "exported changes", told=told)
        parts = _parts(entries, form, sees_people=request.user.has_perm(SEE_PERSONAL_DATA))
        response = stream(request, parts, content_type=FORMATS[form])
        response["Content-Disposition"] = f'attachment; filename="changes.{form}"'
        return response

    def _of_one_row(self, request: HttpRequest) -> dict[str, Any]:
        """Whose history it is, where it is that of one row."""
        row_type, row_id = request.GET.get("row_type", ""), request.GET.get("row_id", "")
        if not (row_type and row_id.isdecimal() and len(row_id) < 19):
            return {}
        newest = AuditEntry.objects.filter(row_type=row_type, row_id=int(row_id)).order_by("-at", "-id").first()
        if newest is None:
            return {"subtitle": "Nothing is on record of it."}
        name = newest.row_name if request.user.has_perm(SEE_PERSONAL_DATA) else VEIL
        return {"subtitle": f"Of the {kind_of(row_type)} {name}", "row_url": url_of(newest)}


def kind_of(label: str) -> str:
    """What people call such rows."""
    try:
        return str(apps.get_model(label)._meta.verbose_name)
    except (LookupError, ValueError):
        return label


def url_of(entry: AuditEntry) -> str | None:
    """The page of what was changed, where it has one."""
    try:
        return reverse(f"admin:{entry.row_type.lower().replace('.', '_')}_change", args=[entry.row_id])
    except NoReverseMatch:
        return None


def lines_of(entry: AuditEntry) -> Iterator[str]:
    """`max requests: 5 → 7`, one for each field; of a list what came and went."""
    for name in entry.after | entry.before:
        told, before, after = name.replace("_", " "), entry.before.get(name), entry.after.get(name)
        if isinstance(before, list) and isinstance(after, list):
            came = [f"+ {each}" for each in after if each not in before]
            yield f"{told}: {', '.join([*came, *(f'− {each}' for each in before if each not in after)])}"
        elif name in entry.before and name in entry.after:
            yield f"{told}: {_shown(before)} → {_shown(after)}"
        else:
            yield f"{told}: {_shown(after if name in entry.after else before)}"


def _shown(value: Any) -> str:
    if value in (None, "", [], {}):
        return "nothing"
    match value:
        case bool():
            return "yes" if value else "no"
        case list():
            return ", ".join(str(each) for each in value)
        case dict():
            return ", ".join(f"{name} {each}" for name, each in value.items())
        case str() if MOMENT.fullmatch(value):
            return f"{value[:10]} {value[11:16]} UTC"
        case _:
            return str(value)


def _parts(entries: QuerySet[AuditEntry], form: str, *, sees_people: bool) -> Iterator[bytes]:
    """The file, in the list's order: page by page, each a query of its own that goes on where the last one ended."""
    if form == "csv":
        yield csv_rows([COLUMNS])
    left, after = ROWS_MAX, Q()
    entries = entries.select_related("account").order_by("-at", "-id")
    while left and (page := list(entries.filter(after)[: min(left, PAGE_ROWS)])):
        told = [_told(entry, sees_people=sees_people) for entry in page]
        yield csv_rows(_flat(each) for each in told) if form == "csv" else ENCODER.encode_lines(told)
        left, last = left - len(page), page[-1]
        after = Q(at__lte=last.at) & ~Q(at=last.at, id__gte=last.pk)


def _told(entry: AuditEntry, *, sees_people: bool) -> dict[str, object]:
    told = {name: getattr(entry, name) for name in COLUMNS} | {"account": entry.account and entry.account.name}
    if sees_people:
        return told
    return told | {name: VEIL for name in VEILED if told[name]}


def _flat(told: dict[str, object]) -> list[object]:
    return [_cell(value) for value in told.values()]


def _cell(value: object) -> object:
    if isinstance(value, datetime):
        return value.isoformat()
    return ENCODER.encode(value).decode() if isinstance(value, dict) else value
