"""The pages about an app as staff see them: figures, filters, what is empty, who may see what, and what it costs."""

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from accounts.models import Staff
from accounts.roles import Role
from analytics import services
from analytics.desk.app_page import TABS
from analytics.desk.tables import Table
from analytics.models import Consumer, Endpoint, Environment, ErrorGroup, ErrorKind, ErrorQuarter, Instance
from analytics.partitions import RESOURCE_MINUTES
from analytics.periods import QUARTER
from tests.analytics.filed import Traffic, endpoint, file_traffic, observe
from tests.analytics.test_statistics_resources import use
from tests.cast import BY, Tenant
from tests.queries import counting_queries

NOW = datetime(2026, 6, 15, 12, tzinfo=UTC)
LAST, YESTERDAY = NOW - QUARTER, NOW - timedelta(days=1)
NAMES = [tab.name for tab in TABS]


@pytest.fixture(autouse=True)
def _the_clock_stands(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("analytics.desk.app_page.timezone", SimpleNamespace(now=lambda: NOW))


@pytest.fixture
def prod(alice: Tenant) -> Environment:
    return observe(alice)


@pytest.fixture
def orders(prod: Environment) -> Endpoint:
    return endpoint(prod.app, "GET /orders", expected_statuses=[404])


@pytest.fixture
def ann(prod: Environment) -> Consumer:
    return Consumer.objects.create(app=prod.app, identifier="ann@example.com", name="Ann Archer", first_request_at=LAST)


@pytest.fixture
def traffic(prod: Environment, orders: Endpoint, ann: Consumer) -> None:
    """A day: 10 requests (2 of them client errors, 1 a server error, 3 expected) by ann; 5 yesterday by nobody."""
    file_traffic(
        [
            Traffic(prod, orders, LAST, 4, ann, bytes_received=500_000, bytes_sent=2_000_000, seconds={0.1: 4}),
            Traffic(prod, orders, LAST, 3, ann, 404, seconds={0.1: 3}),
            Traffic(prod, orders, LAST, 2, ann, 422),
            Traffic(prod, orders, LAST, 1, ann, 500, seconds={3.0: 1}),
            Traffic(prod, orders, YESTERDAY - QUARTER, 5, status_code=503),
        ]
    )


@pytest.fixture
def failure(prod: Environment, orders: Endpoint, ann: Consumer) -> ErrorGroup:
    group = ErrorGroup.objects.create(
        app=prod.app,
        environment=prod,
        endpoint=orders,
        kind=ErrorKind.SERVER,
        fingerprint=b"1",
        type="KeyError",
        message="no order of ann@example.com",
        stacktrace='File "shop.py", line 7: ann@example.com',
        occurrences=9,
        first_seen_at=YESTERDAY,
        last_seen_at=LAST,
    )
    for quarter, occurrences in ((LAST, 2), (YESTERDAY - QUARTER, 7)):
        ErrorQuarter.objects.create(group=group, quarter=quarter, consumer_id=ann.pk, occurrences=occurrences)
    return group


def address(of: Environment, name: str) -> str:
    return reverse(f"desk:{name}", args=[of.app_id])


def figures(answer: Any) -> dict[str, str]:
    return {each.title: each.text for each in answer.context["figures"]}


def texts(table: Table) -> list[list[str]]:
    return [[cell.text for cell in row] for row in table.rows]


def test_traffic_is_told_exactly(desk: Client, prod: Environment, traffic: None) -> None:
    answer = desk.get(address(prod, "app_traffic"))
    assert figures(answer) == {"Requests": "10", "Error rate": "30.00 %", "Client errors": "2", "Server errors": "1"}
    series = {each.name: sum(each.values) for each in answer.context["requests"].series}
    assert series == {"2xx": 4, "3xx": 0, "4xx": 5, "5xx": 1}
    assert {each.name: sum(each.values) for each in answer.context["sizes"].series} == {"received": 0.5, "sent": 2}
    assert texts(answer.context["table"]) == [["2026-06-15 11:45", "10", "2", "1", "30.00 %", "0.50", "2"]]


def test_times_and_days_are_the_readers(desk: Client, prod: Environment, traffic: None) -> None:
    answer = desk.get(address(prod, "app_traffic"), {"period": "yesterday", "zone": "Asia/Kolkata"})
    assert texts(answer.context["table"]) == [["2026-06-14 17:15", "5", "0", "5", "100.00 %", "0", "0"]]


def test_an_endpoint_is_told_exactly(desk: Client, prod: Environment, traffic: None) -> None:
    endpoint(prod.app, "GET /health", is_excluded=True)
    endpoint(prod.app, "GET /silent")
    table = desk.get(address(prod, "app_endpoints")).context["table"]
    assert texts(table) == [
        [
            "GET /orders",
            "10",
            "30.00 %",
            "101 ms",
            "2,950 ms",
            "2,950 ms",
            "0.88",
            "2026-06-15 11:45",
            "Change",
        ],
        ["GET /health", "–", "–", "–", "–", "–", "–", "–", "Change"],
        ["GET /silent", "0", "–", "–", "–", "–", "–", "–", "Change"],
    ]
    assert [row[0].note for row in table.rows] == ["expected: 404", "excluded", ""]


def test_consumers_are_told_exactly(desk: Client, prod: Environment, traffic: None) -> None:
    answer = desk.get(address(prod, "app_consumers"), {"period": "7d"})
    assert figures(answer) == {"Consumers": "1", "New": "1", "Returning": "0", "Requests": "15"}
    assert texts(answer.context["table"]) == [
        ["Ann Archer", "", "10", "3", "30.00 %", "2026-06-15 11:45"],
        ["(nobody named)", "", "5", "5", "100.00 %", "2026-06-14 11:45"],
    ]
    seen = answer.context["seen"]
    told = {each.name: dict(zip(seen.labels, each.values, strict=True)) for each in seen.series}
    assert {name: sum(values.values()) for name, values in told.items()} == {"returning": 0, "new": 1}
    assert told["new"]["Mon 15 Jun"] == 1


def test_errors_are_told_exactly(desk: Client, prod: Environment, traffic: None, failure: ErrorGroup) -> None:
    answer = desk.get(address(prod, "app_errors"))
    assert {each.name: sum(each.values) for each in answer.context["errors"].series} == {
        "client errors": 2,
        "server errors": 1,
    }
    assert texts(answer.context["server"]) == [
        ["KeyError", "GET /orders", "2", "1", "2026-06-14 12:00", "2026-06-15 11:45", "Requests"]
    ]
    assert texts(answer.context["validation"]) == []
    assert [row[:3] for row in texts(answer.context["statuses"])] == [
        ["GET /orders", "404", "3"],
        ["GET /orders", "422", "2"],
        ["GET /orders", "500", "1"],
    ]
    assert [row[1].note for row in answer.context["statuses"].rows] == ["expected", "", ""]


def test_an_error_has_its_stack_trace_and_consumers(desk: Client, prod: Environment, failure: ErrorGroup) -> None:
    page = desk.get(address(prod, "app_errors")).context["server"].rows[0][0].href
    answer = desk.get(page)
    assert figures(answer)["In this period"] == "2"
    assert figures(answer)["Of all time"] == "9"
    assert texts(answer.context["consumers"]) == [["Ann Archer", "2"]]
    assert "line 7" in answer.content.decode()


def test_performance_is_told_exactly(desk: Client, prod: Environment, traffic: None) -> None:
    answer = desk.get(address(prod, "app_performance"))
    assert figures(answer) == {"p50": "101 ms", "p95": "2,950 ms", "p99": "2,950 ms", "Apdex": "0.88"}
    assert sum(value or 0 for value in answer.context["spread"].series[0].values) == 8
    assert answer.context["trend"].series[0].values[-1] == 100.66  # the middle of a bucket in which 0.1 s lies
    assert texts(answer.context["table"]) == [["GET /orders", "8", "101 ms", "2,950 ms", "2,950 ms"]]


def test_pages_say_that_a_part_of_very_many_response_times_is_shown(
    desk: Client, prod: Environment, traffic: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("analytics.statistics.sampling.BUCKETS_MAX", 1)
    for name in ("app_performance", "app_endpoints"):
        page = desk.get(address(prod, name)).content.decode()
        assert "Of so many response times those of one quarter hour in 5 are shown." in page


def test_resources_are_told_exactly(desk: Client, prod: Environment) -> None:
    instance = Instance.objects.create(environment=prod, identifier="web-1", client="apitally 1.0")
    use(instance, LAST, 10, 100_000_000)
    use(instance, LAST + timedelta(minutes=1), 30, 300_000_000)
    answer = desk.get(address(prod, "app_resources"))
    assert [(each.name, each.values[-1]) for each in answer.context["processor"].series] == [("web-1", 20)]
    assert [each.values[-1] for each in answer.context["memory"].series] == [200]
    assert texts(answer.context["table"]) == [
        ["web-1", "apitally 1.0", "20.0 %", "30.0 %", "200", "300", "2026-06-15 11:45", "2026-06-15 11:46"]
    ]


def test_filters_narrow_and_are_carried_from_tab_to_tab(
    desk: Client, prod: Environment, orders: Endpoint, ann: Consumer, traffic: None
) -> None:
    query: dict[str, str | int] = {"period": "7d", "endpoint": orders.pk, "who": ann.identifier, "environment": prod.pk}
    answer = desk.get(address(prod, "app_traffic"), query)
    assert figures(answer)["Requests"] == "10"
    links = [each.href for each in answer.context["page"].tabs]
    for part in ("period=7d", f"endpoint={orders.pk}", f"consumer={ann.pk}", f"environment={prod.pk}"):
        assert all(part in link for link in links)
    assert "example.com" not in "".join(links)
    assert figures(desk.get(links[2]))["Consumers"] == "1"


def test_an_unknown_consumer_is_said_and_foreign_filters_are_not_found(
    desk: Client, prod: Environment, bob: Tenant
) -> None:
    foreign = observe(bob)
    theirs = {
        "environment": foreign.pk,
        "endpoint": endpoint(foreign.app, "GET /a").pk,
        "consumer": Consumer.objects.create(app=foreign.app, identifier="x").pk,
    }
    page = address(prod, "app_traffic")
    assert "knows no consumer" in desk.get(page, {"who": "x"}).content.decode()
    assert [desk.get(page, {name: pk}).status_code for name, pk in theirs.items()] == [404, 404, 404]
    assert [desk.get(page, {"endpoint": text}).status_code for text in ("x", "-1", "9" * 30, "²")] == [404] * 4
    assert desk.get(reverse("desk:app_traffic", args=[10**9])).status_code == 404


def test_an_error_of_another_app_is_not_found(desk: Client, failure: ErrorGroup, bob: Tenant) -> None:
    assert desk.get(reverse("desk:app_error", args=[observe(bob).app_id, failure.pk])).status_code == 404


@pytest.mark.parametrize("name", NAMES)
def test_an_app_of_which_nothing_was_told_says_what_to_do(desk: Client, alice: Tenant, name: str) -> None:
    app = services.create_app(alice.account, by=BY, name="Bare")
    answer = desk.get(reverse(f"desk:{name}", args=[app.pk]))
    assert answer.status_code == 200
    table = answer.context["table"] if name != "app_errors" else answer.context["server"]
    assert table.rows == []
    assert table.empty in answer.content.decode().replace("&#x27;", "'")


def test_a_page_that_would_take_long_shows_the_end_of_its_period_and_says_so(desk: Client, prod: Environment) -> None:
    query = {"period": "custom", "from": "2025-06-01T00:00", "to": "2026-06-01T00:00"}
    answer = desk.get(address(prod, "app_consumers"), query)
    assert answer.context["page"].slice.start == datetime(2026, 5, 1, tzinfo=UTC)
    assert "31 days at most" in answer.content.decode()
    assert desk.get(address(prod, "app_traffic"), query).context["page"].slice.start == datetime(2025, 6, 1, tzinfo=UTC)


@pytest.mark.parametrize("name", NAMES)
def test_who_may_not_see_people_sees_none(
    as_role: Any, prod: Environment, traffic: None, failure: ErrorGroup, ann: Consumer, name: str
) -> None:
    viewer = as_role(Role.VIEWER)
    error = reverse("desk:app_error", args=[prod.app_id, failure.pk])
    for page in (address(prod, name), f"{address(prod, name)}?consumer={ann.pk}", error):
        shown = viewer.get(page).content.decode()
        assert "Archer" not in shown
        assert "example.com" not in shown
    # By guessing identifiers nothing is learned either.
    assert (
        figures(viewer.get(address(prod, "app_traffic"), {"who": ann.identifier, "period": "7d"}))["Requests"] == "15"
    )


def test_a_veiled_consumer_is_still_told_apart(as_role: Any, prod: Environment, traffic: None, ann: Consumer) -> None:
    table = as_role(Role.VIEWER).get(address(prod, "app_consumers")).context["table"]
    assert texts(table)[0][0] == f"••• #{ann.pk}"


@pytest.mark.parametrize("role", Role)
def test_every_role_reads_and_operators_change_endpoints(
    as_role: Any, prod: Environment, orders: Endpoint, role: Role
) -> None:
    client = as_role(role)
    pages = [reverse("desk:apps"), *(address(prod, name) for name in NAMES)]
    assert {client.get(page, follow=True).status_code for page in pages} == {200}
    may_change = role in (Role.OPERATOR, Role.ADMINISTRATOR)
    link = client.get(address(prod, "app_endpoints")).context["table"].rows[0][-1].href
    assert link == (reverse("admin:analytics_endpoint_change", args=[orders.pk]) if may_change else "")


def test_staff_without_a_role_see_nothing(prod: Environment, failure: ErrorGroup) -> None:
    nobody = Client()
    nobody.force_login(Staff.objects.create_user("nobody", password="a long one", is_staff=True))
    pages = [reverse("desk:apps"), *(address(prod, name) for name in NAMES)]
    pages.append(reverse("desk:app_error", args=[prod.app_id, failure.pk]))
    assert {nobody.get(page).status_code for page in pages} == {403}
    assert {Client().get(page).status_code for page in pages} == {302}


@pytest.mark.parametrize("name", [*NAMES, "app_error"])
def test_a_page_costs_as_many_queries_however_much_there_is(
    desk: Client, prod: Environment, traffic: None, failure: ErrorGroup, name: str
) -> None:
    arguments = [prod.app_id, failure.pk] if name == "app_error" else [prod.app_id]
    page = reverse(f"desk:{name}", args=arguments)
    instance = Instance.objects.create(environment=prod, identifier="web-1")
    use(instance, LAST, 10, 100)
    desk.get(page)
    with counting_queries() as few:
        desk.get(page)
    _file_more(prod)
    with counting_queries() as many:
        desk.get(page)
    assert len(few) == len(many) <= 25


def _file_more(prod: Environment) -> None:
    RESOURCE_MINUTES.make(RESOURCE_MINUTES.lacking(LAST, LAST))
    for number in range(30):
        route = endpoint(prod.app, f"GET /more/{number}")
        consumer = Consumer.objects.create(app=prod.app, identifier=f"c{number}")
        file_traffic([Traffic(prod, route, LAST, 3, consumer, 500, seconds={0.2: 3})])
        group = ErrorGroup.objects.create(
            app=prod.app,
            environment=prod,
            endpoint=route,
            kind=ErrorKind.SERVER,
            fingerprint=b"2",
            occurrences=1,
            first_seen_at=LAST,
            last_seen_at=LAST,
        )
        ErrorQuarter.objects.create(group=group, quarter=LAST, consumer_id=consumer.pk, occurrences=1)
        use(Instance.objects.create(environment=prod, identifier=f"more-{number}"), LAST, 10, 100)
