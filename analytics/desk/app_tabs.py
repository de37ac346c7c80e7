"""The tabs about an app: traffic, endpoints, consumers, errors, performance, resources. All are read from roll-ups."""

from collections.abc import Iterable, Sequence

from django.http import HttpRequest, HttpResponse
from django.urls import reverse

from accounts.desk.charts import NO_VALUE, Kind, Series, shown
from analytics.desk.app_page import CONSUMERS, ENDPOINTS, PERFORMANCE, RESOURCES, TRAFFIC, AppPage, open_page
from analytics.desk.tables import Cell, Column, Figure, Table
from analytics.histograms import Histogram
from analytics.models import Endpoint
from analytics.periods import TimePeriod
from analytics.statistics import resources
from analytics.statistics.consumers import PAGES_MAX, Callers, Order, callers
from analytics.statistics.durations import SATISFIED_S, Durations, apdex, bars, durations
from analytics.statistics.sums import EndpointSums, Sums, TimeSums, by_endpoint, over_time

STATUS_CLASSES = {2: "2xx", 3: "3xx", 4: "4xx", 5: "5xx"}
OTHER_STATUSES = "other"
PERCENTS = (50, 95, 99)
ENDPOINTS_ON_A_PAGE, SLOWEST, INSTANCES_DRAWN = 50, 10, 6
MB = 1_000_000


def traffic_page(request: HttpRequest, app_id: int) -> HttpResponse:
    page = open_page(request, app_id, TRAFFIC)
    times = over_time(page.slice, page.tiles)
    total = sum((each.total for each in times), Sums())
    sizes = [
        Series("received", [each.total.bytes_received / MB for each in times]),
        Series("sent", [each.total.bytes_sent / MB for each in times]),
    ]
    return page.render(
        figures=figures_of(total),
        requests=page.chart("Requests by status", by_class(times), Kind.BARS),
        sizes=page.chart("Data", sizes, unit="MB"),
        table=_table_of_times(page, times),
    )


def endpoints_page(request: HttpRequest, app_id: int) -> HttpResponse:
    page = open_page(request, app_id, ENDPOINTS)
    sums = {each.endpoint_id: each for each in by_endpoint(page.slice)}
    measured = _durations(page, [TimePeriod(page.slice.start, page.slice.end)]).by_endpoint
    orders = {
        "requests": lambda each: sums[each.pk].sums.requests if each.pk in sums else -1,
        "errors": lambda each: (sums[each.pk].sums.error_percent or 0) if each.pk in sums else -1,
        "p95": lambda each: (measured[each.pk].percentile(95) or 0) if each.pk in measured else -1,
    }
    order = request.GET.get("sort", "")
    order = order if order in orders else "requests"
    wanted = page.filters.endpoint
    rows = [each for each in _endpoints(page, sums) if wanted in (None, each.pk)]
    rows.sort(key=orders[order], reverse=True)
    number = page_number(request)
    first = number * ENDPOINTS_ON_A_PAGE
    total = sum((each.sums for each in sums.values()), Sums())
    table = Table(
        "Endpoints",
        _endpoint_columns(page, order),
        [_endpoint_row(page, each, sums, measured) for each in rows[first : first + ENDPOINTS_ON_A_PAGE]],
        "No endpoint is known yet: the app names its routes when its SDK starts, and others when they are called.",
        note=f"Apdex: who waits {SATISFIED_S * 1000:.0f} ms is satisfied, four times that is bearable.",
        previous=page.address(sort=order, page=number - 1) if number else "",
        next=page.address(sort=order, page=number + 1) if len(rows) > first + ENDPOINTS_ON_A_PAGE else "",
    )
    return page.render(figures=figures_of(total), table=table)


def consumers_page(request: HttpRequest, app_id: int) -> HttpResponse:
    page = open_page(request, app_id, CONSUMERS)
    given = request.GET.get("sort", "")
    order = Order(given) if given in list(Order) else Order.REQUESTS
    number = page_number(request)
    found = callers(page.slice, page.few_tiles, order=order, page=number)
    seen = [
        Series("returning", [each.returning for each in found.by_period]),
        Series("new", [each.new for each in found.by_period]),
    ]
    return page.render(
        figures=[
            Figure("Consumers", shown(found.consumers)),
            Figure("New", shown(found.new), "first seen in this period"),
            Figure("Returning", shown(found.returning), "seen before it"),
            Figure("Requests", shown(found.total.requests)),
        ],
        seen=page.chart(
            "New and returning consumers",
            seen,
            Kind.BARS,
            labels=page.labels_of(page.few_tiles),
        ),
        table=_table_of_consumers(page, found, order, number),
        groups=_table_of_groups(found) if found.groups else None,
    )


def performance_page(request: HttpRequest, app_id: int) -> HttpResponse:
    page = open_page(request, app_id, PERFORMANCE)
    found = _durations(page, page.tiles)
    total = found.total
    index = apdex(total)
    spread = bars(total)
    trend = [Series(f"p{percent}", [milliseconds(each, percent) for each in found.by_period]) for percent in PERCENTS]
    return page.render(
        figures=[
            *(Figure(f"p{percent}", shown_ms(total, percent)) for percent in PERCENTS),
            Figure("Apdex", NO_VALUE if index is None else f"{index:.2f}", f"of {shown(total.count)} measured"),
        ],
        trend=page.chart("Response times", trend, unit="ms", is_sample=found.every > 1),
        spread=page.chart(
            "How response times are spread",
            [Series("requests", [each.requests for each in spread])],
            Kind.BARS,
            unit="requests",
            labels=[f"up to {_rounded(each.high_s * 1000)} ms" for each in spread],
        ),
        table=_table_of_slowest(page, found),
    )


def resources_page(request: HttpRequest, app_id: int) -> HttpResponse:
    page = open_page(request, app_id, RESOURCES)
    place = resources.Place(page.app, page.slice.selection.environments, page.slice.start, page.slice.end)
    instances = resources.by_instance(place)
    drawn = instances[:INSTANCES_DRAWN]
    used = resources.over_time(place, page.tiles, instance_ids=[each.instance_id for each in drawn])
    names = {each.instance_id: _instance_name(each) for each in drawn}
    if len(instances) > INSTANCES_DRAWN:
        page.notes.append(f"Of {len(instances)} instances the {INSTANCES_DRAWN} that told last are drawn.")
    processor = [Series(names[pk], [each.cpu_percent for each in its]) for pk, its in used.items()]
    memory = [
        Series(names[pk], [None if each.memory_bytes is None else each.memory_bytes / MB for each in its])
        for pk, its in used.items()
    ]
    return page.render(
        processor=page.chart("CPU, mean", processor, unit="%"),
        memory=page.chart("Memory, mean", memory, unit="MB"),
        table=_table_of_instances(page, instances),
    )


def _durations(page: AppPage, tiles: Sequence[TimePeriod]) -> Durations:
    found = durations(page.slice, tiles)
    if found.every > 1:
        page.notes.append(f"Of so many response times those of one quarter hour in {found.every} are shown.")
    return found


def figures_of(total: Sums) -> list[Figure]:
    return [
        Figure("Requests", shown(total.requests)),
        Figure("Error rate", shown_percent(total.error_percent), "expected statuses are no errors"),
        Figure("Client errors", shown(total.client_errors), "4xx"),
        Figure("Server errors", shown(total.server_errors), "5xx"),
    ]


def by_class(times: Iterable[TimeSums]) -> list[Series]:
    """Always the same classes in the same order, so that a colour means the same everywhere; others where there are."""
    times = list(times)
    series = [
        Series(name, [each.by_class.get(status_class, Sums()).requests for each in times])
        for status_class, name in STATUS_CLASSES.items()
    ]
    others = [sum(sums.requests for of, sums in each.by_class.items() if of not in STATUS_CLASSES) for each in times]
    return [*series, Series(OTHER_STATUSES, others)] if any(others) else series


def page_number(request: HttpRequest) -> int:
    """From 0; what is no number is the first."""
    text = request.GET.get("page", "")
    return min(int(text), PAGES_MAX) if text.isascii() and text.isdecimal() and len(text) < 9 else 0


def shown_percent(percent: float | None) -> str:
    return NO_VALUE if percent is None else f"{percent:.2f} %"


def milliseconds(histogram: Histogram, percent: float) -> float | None:
    seconds = histogram.percentile(percent)
    return None if seconds is None else round(seconds * 1000, 2)


def shown_ms(histogram: Histogram, percent: float) -> str:
    found = milliseconds(histogram, percent)
    return NO_VALUE if found is None else f"{_rounded(found)} ms"


def _table_of_times(page: AppPage, times: list[TimeSums]) -> Table:
    """Newest first; quarter hours, hours or days without a request are left out."""
    numbers = ("Requests", "Client errors", "Server errors", "Error rate", "Received (MB)", "Sent (MB)")
    rows = []
    for each in reversed(times):
        total = each.total
        if total.requests:
            values = [shown(total.requests), shown(total.client_errors), shown(total.server_errors)]
            values += [shown_percent(total.error_percent), *_megabytes(total)]
            rows.append([Cell(page.shown_time(each.period.start)), *map(Cell, values)])
    return Table(
        "Over time",
        [Column("From"), *(Column(title, is_number=True) for title in numbers)],
        rows,
        "No request in this period. Choose a longer one; or see the app's settings for how its SDK reports.",
        is_long=True,
    )


def _endpoints(page: AppPage, called: Iterable[int]) -> list[Endpoint]:
    """Those that are listed, and those that were called."""
    listed = {each.pk: each for each in page.endpoints}
    missing = set(called) - set(listed)
    return [*listed.values(), *(Endpoint.objects.filter(pk__in=missing) if missing else ())]


def _endpoint_columns(page: AppPage, order: str) -> list[Column]:
    return [
        Column("Endpoint"),
        Column("Requests", True, page.address(sort="requests"), order == "requests"),
        Column("Error rate", True, page.address(sort="errors"), order == "errors"),
        Column("p50", True),
        Column("p95", True, page.address(sort="p95"), order == "p95"),
        Column("p99", True),
        Column("Apdex", True),
        Column("Last request"),
        Column("Settings"),
    ]


def _endpoint_row(
    page: AppPage, endpoint: Endpoint, sums: dict[int, EndpointSums], measured: dict[int, Histogram]
) -> list[Cell]:
    its, took = sums.get(endpoint.pk), measured.get(endpoint.pk, Histogram())
    index = apdex(took)
    return [
        Cell(str(endpoint), page.address(TRAFFIC, endpoint=endpoint.pk), _settings_told(endpoint)),
        Cell(NO_VALUE if endpoint.is_excluded else shown(its.sums.requests if its else 0)),
        Cell(shown_percent(its.sums.error_percent if its else None)),
        *(Cell(shown_ms(took, percent)) for percent in PERCENTS),
        Cell(NO_VALUE if index is None else f"{index:.2f}"),
        Cell(page.shown_time(its.last_quarter) if its else NO_VALUE),
        _settings(page, endpoint),
    ]


def _settings_told(endpoint: Endpoint) -> str:
    expected = ", ".join(map(str, endpoint.expected_statuses))
    told = ["excluded"] if endpoint.is_excluded else []
    return "; ".join([*told, f"expected: {expected}"] if expected else told)


def _settings(page: AppPage, endpoint: Endpoint) -> Cell:
    """Whether it is excluded, and its expected statuses, are changed on its own page, by a service that records it."""
    if not page.request.user.has_perm("analytics.change_endpoint"):
        return Cell("")
    return Cell("Change", reverse("admin:analytics_endpoint_change", args=[endpoint.pk]))


def _table_of_consumers(page: AppPage, found: Callers, order: Order, number: int) -> Table:
    columns = [
        Column("Consumer"),
        Column("Group"),
        Column("Requests", True, page.address(sort=Order.REQUESTS.value), order is Order.REQUESTS),
        Column("Errors", True, page.address(sort=Order.ERRORS.value), order is Order.ERRORS),
        Column("Error rate", True),
        Column("Last request", False, page.address(sort=Order.NEWEST.value), order is Order.NEWEST),
    ]
    rows = []
    for each in found.page:
        known = each.consumer
        rows.append(
            [
                Cell(
                    page.name_of(known),
                    page.address(TRAFFIC, consumer=known.pk) if known else "",
                    "new" if each.is_new else "",
                ),
                Cell(str(known.group or "") if known else ""),
                Cell(shown(each.sums.requests)),
                Cell(shown(each.sums.errors)),
                Cell(shown_percent(each.sums.error_percent)),
                Cell(page.shown_time(each.last_quarter)),
            ]
        )
    return Table(
        "Consumers",
        columns,
        rows,
        "Nobody called in this period. Choose a longer one, or show all of the app.",
        previous=page.address(sort=order.value, page=number - 1) if number else "",
        next=page.address(sort=order.value, page=number + 1) if found.has_more and number < PAGES_MAX else "",
    )


def _table_of_groups(found: Callers) -> Table:
    numbers = ("Consumers", "New", "Requests", "Errors", "Error rate")
    rows = [
        [
            Cell(each.name),
            Cell(shown(each.consumers)),
            Cell(shown(each.new)),
            Cell(shown(each.sums.requests)),
            Cell(shown(each.sums.errors)),
            Cell(shown_percent(each.sums.error_percent)),
        ]
        for each in found.groups
    ]
    return Table("Groups", [Column("Group"), *(Column(title, True) for title in numbers)], rows, "No group called.")


def _table_of_slowest(page: AppPage, found: Durations) -> Table:
    slowest = sorted(found.by_endpoint.items(), key=lambda item: (-(item[1].percentile(95) or 0), item[0]))[:SLOWEST]
    endpoints = Endpoint.objects.in_bulk([pk for pk, _ in slowest])
    rows = [
        [
            Cell(str(endpoints.get(pk, "(gone)")), page.address(endpoint=pk)),
            Cell(shown(took.count)),
            *(Cell(shown_ms(took, percent)) for percent in PERCENTS),
        ]
        for pk, took in slowest
    ]
    numbers = ("Measured", *(f"p{percent}" for percent in PERCENTS))
    return Table(
        "Slowest endpoints",
        [Column("Endpoint"), *(Column(title, True, "", title == "p95") for title in numbers)],
        rows,
        "No duration was measured in this period: decisions have none, SDKs tell them with their metrics or spans.",
    )


def _table_of_instances(page: AppPage, instances: list[resources.InstanceUse]) -> Table:
    numbers = ("CPU, mean", "CPU, peak", "MB, mean", "MB, peak")
    rows = []
    for each in instances:
        used = each.used
        values = [_percent(used.cpu_percent), _percent(used.cpu_percent_max)]
        values += [shown(None if each is None else each / MB) for each in (used.memory_bytes, used.memory_bytes_max)]
        known = each.instance
        rows.append(
            [
                Cell(_instance_name(each), "", str(known.environment) if known else ""),
                Cell(known.client if known else ""),
                *map(Cell, values),
                Cell(page.shown_time(each.first_minute)),
                Cell(page.shown_time(each.last_minute)),
            ]
        )
    return Table(
        "Instances",
        [
            Column("Instance"),
            Column("Client"),
            *(Column(title, True) for title in numbers),
            Column("From"),
            Column("To"),
        ],
        rows,
        "No instance told of its CPU and memory in this period: SDKs do where psutil is installed beside them.",
    )


def _instance_name(use: resources.InstanceUse) -> str:
    return use.instance.identifier[:40] if use.instance else f"instance {use.instance_id}"


def _percent(value: float | None) -> str:
    return NO_VALUE if value is None else f"{value:.1f} %"


def _megabytes(total: Sums) -> list[str]:
    return [shown(total.bytes_received / MB), shown(total.bytes_sent / MB)]


def _rounded(value: float) -> str:
    """To three digits that mean something."""
    return f"{float(f'{value:.3g}'):,g}"
