"""What a slice of an app's traffic adds up to: the rows that count, and no others; the same sums as the API's."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import product
from zoneinfo import ZoneInfo

import pytest

from analytics.models import Consumer, Endpoint, Environment, Record, Source
from analytics.periods import HOUR, QUARTER, Interval, TimePeriod, periods
from analytics.selection import select_traffic
from analytics.statistics.slices import Slice, slice_of
from analytics.statistics.sums import EndpointSums, StatusSums, Sums, by_endpoint, by_error_status, over_time
from analytics.traffic import by_period
from tests.analytics.filed import Traffic, endpoint, file_traffic, observe, switch
from tests.cast import Tenant
from tests.queries import counting_queries

NOON = datetime(2026, 6, 15, 12, tzinfo=UTC)
HOURS = [TimePeriod(NOON, NOON + HOUR), TimePeriod(NOON + HOUR, NOON + 2 * HOUR)]


@pytest.fixture
def prod(alice: Tenant) -> Environment:
    return observe(alice)


@pytest.fixture
def orders(prod: Environment) -> Endpoint:
    return endpoint(prod.app, "GET /orders", expected_statuses=[404])


def two_hours(environment: Environment, **narrowed: int) -> Slice:
    found = slice_of(environment.app, start=NOON, end=NOON + 2 * HOUR, **narrowed)
    assert found is not None
    return found


def test_requests_are_summed_by_hour_and_class_of_status(prod: Environment, orders: Endpoint) -> None:
    file_traffic(
        [
            Traffic(prod, orders, NOON - QUARTER, 1000),  # before
            Traffic(prod, orders, NOON, 5, bytes_received=50, bytes_sent=500),
            Traffic(prod, orders, NOON + QUARTER, 2, status_code=204, bytes_sent=7),
            Traffic(prod, orders, NOON + QUARTER, 3, status_code=422),
            Traffic(prod, orders, NOON + HOUR, 4, status_code=404),  # expected: no error
            Traffic(prod, orders, NOON + HOUR, 1, status_code=503),
            Traffic(prod, orders, NOON + 2 * HOUR, 1000),  # after
        ]
    )
    first, second = over_time(two_hours(prod), HOURS)
    assert first.by_class == {2: Sums(7, 50, 507), 4: Sums(3, client_errors=3)}
    assert second.by_class == {4: Sums(4), 5: Sums(1, server_errors=1)}
    assert (second.total, second.total.errors, second.total.error_percent) == (Sums(5, server_errors=1), 1, 20.0)


def test_what_staff_left_out_and_sources_that_are_not_in_force_do_not_count(
    prod: Environment, orders: Endpoint
) -> None:
    health = endpoint(prod.app, "GET /health", is_excluded=True)
    switch(prod, Record.TRAFFIC, Source.DECISION, since=NOON + HOUR)
    file_traffic(
        [
            Traffic(prod, health, NOON, 100),
            Traffic(prod, orders, NOON, 7),
            Traffic(prod, orders, NOON, 50, source=Source.DECISION),
            Traffic(prod, orders, NOON + HOUR, 70),
            Traffic(prod, orders, NOON + HOUR, 5, source=Source.DECISION),
        ]
    )
    assert [each.total.requests for each in over_time(two_hours(prod), HOURS)] == [7, 5]
    assert by_endpoint(two_hours(prod)) == [EndpointSums(orders.pk, Sums(12), NOON + HOUR)]
    assert by_endpoint(two_hours(prod, endpoint_id=health.pk)) == []


def test_a_slice_is_narrowed_to_an_environment_an_endpoint_and_a_consumer(
    alice: Tenant, prod: Environment, orders: Endpoint
) -> None:
    dev, other = observe(alice, app=prod.app, name="dev"), endpoint(prod.app, "GET /other")
    ann = Consumer.objects.create(app=prod.app, identifier="ann")
    file_traffic(
        [
            Traffic(prod, orders, NOON, 1, consumer=ann),
            Traffic(prod, orders, NOON, 2),
            Traffic(prod, other, NOON, 4, consumer=ann),
            Traffic(dev, orders, NOON, 8, consumer=ann),
        ]
    )

    def requests(**narrowed: int) -> int:
        return over_time(two_hours(prod, **narrowed), HOURS)[0].total.requests

    assert requests() == 15
    assert requests(environment_id=dev.pk) == 8
    assert requests(endpoint_id=orders.pk) == 11
    assert requests(consumer_id=ann.pk) == 13
    assert requests(environment_id=prod.pk, endpoint_id=orders.pk, consumer_id=ann.pk) == 1


def test_endpoints_stand_by_requests_and_know_their_newest_quarter_hour(prod: Environment, orders: Endpoint) -> None:
    other = endpoint(prod.app, "POST /other")
    file_traffic(
        [
            Traffic(prod, orders, NOON, 3),
            Traffic(prod, orders, NOON + QUARTER, 1, status_code=404),
            Traffic(prod, other, NOON, 9, status_code=404),
        ]
    )
    assert by_endpoint(two_hours(prod)) == [
        EndpointSums(other.pk, Sums(9, client_errors=9), NOON),
        EndpointSums(orders.pk, Sums(4), NOON + QUARTER),
    ]
    assert by_error_status(two_hours(prod)) == [
        StatusSums(other.pk, 404, Sums(9, client_errors=9), NOON),
        StatusSums(orders.pk, 404, Sums(1), NOON + QUARTER),
    ]


@pytest.mark.parametrize("zone", ["UTC", "Europe/Berlin", "Asia/Kolkata"])
def test_the_sums_are_those_of_the_api(prod: Environment, orders: Endpoint, zone: str) -> None:
    other = endpoint(prod.app, "GET /left-out", is_excluded=True)
    file_traffic(
        Traffic(prod, of, NOON + n * QUARTER, n + 1, status_code=200 + 50 * (n % 7), bytes_sent=n)
        for n in range(300)
        for of in (orders, other)
    )
    days = list(periods(NOON, NOON + timedelta(days=3), interval=Interval.DAY, zone=ZoneInfo(zone)))
    found = slice_of(prod.app, start=days[0].start, end=days[-1].end)
    selection = select_traffic(prod.app)
    assert found is not None
    assert selection is not None
    api = [(each.requests, each.bytes_sent) for each in by_period(selection, days)]
    assert [(each.total.requests, each.total.bytes_sent) for each in over_time(found, days)] == api
    assert sum(requests for requests, _ in api) > 0


def test_a_whole_environment_adds_up_to_what_its_endpoints_do(prod: Environment, orders: Endpoint) -> None:
    routes = [orders, endpoint(prod.app, "GET /left-out", is_excluded=True), endpoint(prod.app, "GET /other")]
    file_traffic(
        Traffic(prod, of, NOON + n % 8 * QUARTER, n + 1, status_code=status, bytes_received=n, bytes_sent=2 * n)
        for n, (of, status) in enumerate(product(routes, (0, 101, 200, 204, 301, 400, 404, 500, 503)))
    )
    of_routes = [over_time(two_hours(prod, endpoint_id=of.pk), HOURS) for of in routes]
    for whole, *parts in zip(over_time(two_hours(prod), HOURS), *of_routes, strict=True):
        classes = {status_class for part in parts for status_class in part.by_class}
        summed = {each: sum((part.by_class.get(each, Sums()) for part in parts), Sums()) for each in classes}
        assert whole.by_class == summed
        assert {4, 5} < summed.keys()


def test_another_apps_ids_are_no_slice(prod: Environment, bob: Tenant) -> None:
    foreign = observe(bob)
    theirs = endpoint(foreign.app, "GET /a"), Consumer.objects.create(app=foreign.app, identifier="x")
    for narrowed in ({"environment_id": foreign.pk}, {"endpoint_id": theirs[0].pk}, {"consumer_id": theirs[1].pk}):
        assert slice_of(prod.app, start=NOON, end=NOON + HOUR, **narrowed) is None


def test_an_app_without_environments_has_no_traffic(alice: Tenant, prod: Environment) -> None:
    bare = type(prod.app).objects.create(account=alice.account, name="Bare")
    found = slice_of(bare, start=NOON, end=NOON + HOUR)
    assert found is not None
    assert [each.total for each in over_time(found, HOURS)] == [Sums(), Sums()]


@pytest.mark.parametrize("read", [by_endpoint, by_error_status, lambda of: over_time(of, HOURS)])
def test_each_sum_is_one_select_and_a_slice_five(
    prod: Environment, orders: Endpoint, read: Callable[[Slice], object]
) -> None:
    ann = Consumer.objects.create(app=prod.app, identifier="ann")
    with counting_queries() as queries:
        found = two_hours(prod, environment_id=prod.pk, endpoint_id=orders.pk, consumer_id=ann.pk)
        assert len(queries) <= 5
        read(found)
        assert len(queries) <= 6
