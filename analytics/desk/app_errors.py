"""The errors of an app: how many over time, by status and endpoint, and in groups of the same error, each with a page.

Messages and stack traces hold what was sent and by whom: they are veiled for who may not see personal data.
"""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404

from accounts.admin import VEIL
from accounts.desk.charts import Chart, Kind, Series, shown
from analytics.desk.app_page import ERRORS, TRAFFIC, AppPage, open_page
from analytics.desk.app_tabs import figures_of
from analytics.desk.tables import Cell, Column, Figure, Table
from analytics.models import Endpoint, ErrorGroup, ErrorKind
from analytics.statistics.errors import (
    GROUPS_EXAMINED,
    GROUPS_SHOWN,
    CountedGroup,
    CountedGroups,
    GroupHistory,
    error_groups,
    history_of,
)
from analytics.statistics.sums import StatusSums, Sums, TimeSums, by_error_status, over_time

STATUSES_SHOWN = 50
MESSAGE_LENGTH = 120


def errors_page(request: HttpRequest, app_id: int) -> HttpResponse:
    page = open_page(request, app_id, ERRORS)
    times = over_time(page.slice, page.tiles)
    server, validation = (error_groups(page.slice, kind) for kind in (ErrorKind.SERVER, ErrorKind.VALIDATION))
    return page.render(
        figures=figures_of(sum((each.total for each in times), Sums())),
        errors=_chart(page, times),
        statuses=_table_of_statuses(page, by_error_status(page.slice)),
        server=_table_of_groups(page, server, "Server errors"),
        validation=_table_of_groups(page, validation, "Validation errors"),
        requests=page.requests_address(status="4xx,5xx"),
    )


def error_page(request: HttpRequest, app_id: int, group_id: int) -> HttpResponse:
    """One group: what it says, where, when and to whom."""
    page = open_page(request, app_id, ERRORS)
    groups = ErrorGroup.objects.select_related("endpoint", "environment")
    group = get_object_or_404(groups, app=page.app, pk=group_id)
    history = history_of(group, page.tiles, consumer_id=page.filters.consumer)
    if not page.sees_people:
        group.message, group.stacktrace = (VEIL if text else "" for text in (group.message, group.stacktrace))
    return page.render(
        template="desk/app_error.html",
        group=group,
        figures=_figures(page, group, history),
        occurrences=page.chart("Occurrences", [Series("occurrences", history.by_period)], Kind.BARS),
        consumers=_table_of_consumers(page, history),
        endpoint=page.address(TRAFFIC, endpoint=group.endpoint_id),
        all_errors=page.address(ERRORS),
        requests=_requests_of(page, group),
    )


def _requests_of(page: AppPage, group: ErrorGroup) -> str:
    """Of its endpoint and environment, those that ended as it makes them end: no request says of which group it is."""
    status = "5xx" if group.kind == ErrorKind.SERVER else "4xx"
    return page.requests_address(status=status, endpoint=group.endpoint, environment_id=group.environment_id)


def _chart(page: AppPage, times: list[TimeSums]) -> Chart:
    totals = [each.total for each in times]
    series = [
        Series("client errors", [each.client_errors for each in totals]),
        Series("server errors", [each.server_errors for each in totals]),
    ]
    return page.chart("Errors", series, Kind.BARS)


def _table_of_statuses(page: AppPage, statuses: list[StatusSums]) -> Table:
    shown_ones = statuses[:STATUSES_SHOWN]
    endpoints = Endpoint.objects.in_bulk({each.endpoint_id for each in shown_ones})
    rows = [_status_row(page, each, endpoints.get(each.endpoint_id)) for each in shown_ones]
    is_bounded = len(statuses) > STATUSES_SHOWN
    return Table(
        "By status and endpoint",
        [Column("Endpoint"), Column("Status", True), Column("Requests", True, "", True), Column("Last"), Column("See")],
        rows,
        "No request was answered with a status of 400 or above in this period.",
        note=f"The {STATUSES_SHOWN} most frequent of {len(statuses)}." if is_bounded else "",
    )


def _status_row(page: AppPage, each: StatusSums, endpoint: Endpoint | None) -> list[Cell]:
    requests = page.requests_address(status=str(each.status_code), endpoint=endpoint)
    return [
        Cell(str(endpoint or "(gone)"), page.address(endpoint=each.endpoint_id)),
        Cell(str(each.status_code), "", "" if each.sums.errors or each.status_code >= 600 else "expected"),
        Cell(shown(each.sums.requests)),
        Cell(page.shown_time(each.last_quarter)),
        Cell("Requests" if requests else "", requests),
    ]


def _table_of_groups(page: AppPage, found: CountedGroups, title: str) -> Table:
    notes = []
    if found.is_bounded:
        notes.append(f"Of the {GROUPS_EXAMINED} that were seen last.")
    if len(found.groups) == GROUPS_SHOWN:
        notes.append(f"The {GROUPS_SHOWN} most frequent.")
    return Table(
        title,
        [
            Column("Error"),
            Column("Endpoint"),
            Column("Occurrences", True, "", True),
            Column("Consumers", True),
            Column("First seen"),
            Column("Last seen"),
            Column("See"),
        ],
        [_group_row(page, each) for each in found.groups],
        "None was told in this period. SDKs of Apitally tell of them; decisions and plain spans do not.",
        note=" ".join(notes),
    )


def _group_row(page: AppPage, counted: CountedGroup) -> list[Cell]:
    group = counted.group
    message = group.message[:MESSAGE_LENGTH] if page.sees_people else VEIL
    requests = _requests_of(page, group)
    return [
        Cell(
            " · ".join(filter(None, (group.type, group.location))) or "error",
            page.error_address(group),
            message if group.message else "",
        ),
        Cell(str(group.endpoint), page.address(endpoint=group.endpoint_id), _expected(group)),
        Cell(shown(counted.occurrences)),
        Cell(shown(counted.consumers)),
        Cell(page.shown_time(group.first_seen_at)),
        Cell(page.shown_time(group.last_seen_at)),
        Cell("Requests" if requests else "", requests),
    ]


def _expected(group: ErrorGroup) -> str:
    """Which statuses of its kind staff expect of its endpoint: with which its own requests ended it does not say."""
    first = 5 if group.kind == ErrorKind.SERVER else 4
    expected = [str(status) for status in group.endpoint.expected_statuses if status // 100 == first]
    return f"expected: {', '.join(expected)}" if expected else ""


def _figures(page: AppPage, group: ErrorGroup, history: GroupHistory) -> list[Figure]:
    whose = "of all consumers" if page.consumer else ""
    return [
        Figure("In this period", shown(sum(history.by_period)), "occurrences"),
        Figure("Of all time", shown(group.occurrences), f"occurrences {whose}".strip()),
        Figure("First seen", page.shown_time(group.first_seen_at), whose),
        Figure("Last seen", page.shown_time(group.last_seen_at), whose),
    ]


def _table_of_consumers(page: AppPage, history: GroupHistory) -> Table:
    rows = [
        [
            Cell(page.name_of(each.consumer), page.address(consumer=each.consumer.pk) if each.consumer else ""),
            Cell(shown(each.occurrences)),
        ]
        for each in history.consumers
    ]
    return Table(
        "To whom it occurred most",
        [Column("Consumer"), Column("Occurrences", True, "", True)],
        rows,
        "It did not occur in this period. Choose a longer one.",
    )
