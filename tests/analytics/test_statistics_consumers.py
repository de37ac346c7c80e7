"""Who called an app: each once, with exact sums; who is new, which groups, in which order, page by page."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from analytics.models import Consumer, ConsumerGroup, Endpoint, Environment
from analytics.periods import DAY, HOUR, QUARTER, Interval, TimePeriod, periods
from analytics.statistics.consumers import (
    CONSUMERS_ON_A_PAGE,
    MOST,
    PERIODS_MAX,
    GroupSums,
    Order,
    PeriodCallers,
    callers,
)
from analytics.statistics.slices import Slice, slice_of
from analytics.statistics.sums import Sums
from tests.analytics.filed import Traffic, endpoint, file_traffic, observe
from tests.cast import Tenant
from tests.queries import counting_queries

NOON = datetime(2026, 6, 15, 12, tzinfo=UTC)
AN_HOUR = [TimePeriod(NOON + n * QUARTER, NOON + (n + 1) * QUARTER) for n in range(4)]


@pytest.fixture
def prod(alice: Tenant) -> Environment:
    return observe(alice)


@pytest.fixture
def orders(prod: Environment) -> Endpoint:
    return endpoint(prod.app, "GET /orders", expected_statuses=[404])


def an_hour(environment: Environment, **narrowed: int) -> Slice:
    found = slice_of(environment.app, start=NOON, end=NOON + HOUR, **narrowed)
    assert found is not None
    return found


def test_consumers_are_summed_and_new_ones_told_from_returning_ones(prod: Environment, orders: Endpoint) -> None:
    partners = ConsumerGroup.objects.create(app=prod.app, name="Partners")
    known = {"app": prod.app, "group": partners}
    ann = Consumer.objects.create(identifier="ann", first_request_at=NOON - timedelta(days=3), **known)
    ben = Consumer.objects.create(identifier="ben", first_request_at=NOON, **known)
    Consumer.objects.create(identifier="silent", first_request_at=NOON, **known)
    cem = Consumer.objects.create(app=prod.app, identifier="cem", first_request_at=NOON + QUARTER)
    file_traffic(
        [
            Traffic(prod, orders, NOON, 5, consumer=ann),
            Traffic(prod, orders, NOON + QUARTER, 2, consumer=ann, status_code=404),
            Traffic(prod, orders, NOON, 3, consumer=ben, status_code=500),
            Traffic(prod, orders, NOON + QUARTER, 3, consumer=cem, status_code=400),
            Traffic(prod, orders, NOON, 1),
            Traffic(prod, orders, NOON + HOUR, 100, consumer=cem),  # after
        ]
    )
    found = callers(an_hour(prod), AN_HOUR)
    assert [(each.consumer, each.sums, each.is_new, each.last_quarter) for each in found.page] == [
        (ann, Sums(7), False, NOON + QUARTER),
        (ben, Sums(3, server_errors=3), True, NOON),
        (cem, Sums(3, client_errors=3), True, NOON + QUARTER),
        (None, Sums(1), False, NOON),
    ]
    assert (found.consumers, found.new, found.returning) == (3, 2, 1)
    assert found.total == Sums(14, client_errors=3, server_errors=3)
    assert found.groups == [GroupSums("Partners", Sums(10, server_errors=3), 2, 1)]
    assert not found.has_more
    assert found.by_period == [
        PeriodCallers(new=1, returning=1),  # ben, ann
        PeriodCallers(new=1, returning=1),  # cem, ann
        PeriodCallers(),
        PeriodCallers(),
    ]


def test_they_stand_by_errors_or_by_their_last_request_as_well(prod: Environment, orders: Endpoint) -> None:
    ann, ben = (Consumer.objects.create(app=prod.app, identifier=name) for name in ("ann", "ben"))
    file_traffic(
        [
            Traffic(prod, orders, NOON, 9, consumer=ann),
            Traffic(prod, orders, NOON, 2, consumer=ben, status_code=500),
            Traffic(prod, orders, NOON + QUARTER, 1, consumer=ben),
        ]
    )
    orders_of = {
        order: [each.consumer for each in callers(an_hour(prod), AN_HOUR, order=order).page] for order in Order
    }
    assert orders_of == {Order.REQUESTS: [ann, ben], Order.ERRORS: [ben, ann], Order.NEWEST: [ben, ann]}


def test_pages_show_each_consumer_once(prod: Environment, orders: Endpoint) -> None:
    many = [Consumer(app=prod.app, identifier=f"c{number}") for number in range(2 * CONSUMERS_ON_A_PAGE + 3)]
    Consumer.objects.bulk_create(many)
    file_traffic(Traffic(prod, orders, NOON, 1 + number % 2, consumer=each) for number, each in enumerate(many))
    pages = [callers(an_hour(prod), AN_HOUR, page=number) for number in range(4)]
    assert [len(each.page) for each in pages] == [CONSUMERS_ON_A_PAGE, CONSUMERS_ON_A_PAGE, 3, 0]
    assert [each.has_more for each in pages] == [True, True, False, False]
    assert {each.consumers for each in pages} == {len(many)}
    assert {each.consumer for page in pages for each in page.page} == set(many)


def test_without_traffic_there_is_nobody(prod: Environment) -> None:
    found = callers(an_hour(prod), AN_HOUR)
    assert (found.page, found.groups, found.consumers, found.new, found.total) == ([], [], 0, 0, Sums())


def test_it_costs_four_selects_and_a_setting_however_many_there_are(prod: Environment, orders: Endpoint) -> None:
    group = ConsumerGroup.objects.create(app=prod.app, name="Partners")
    many = [Consumer(app=prod.app, identifier=f"c{number}", group=group) for number in range(40)]
    Consumer.objects.bulk_create(many)
    file_traffic(Traffic(prod, orders, NOON, consumer=each) for each in many)
    found = an_hour(prod)
    with counting_queries() as queries:
        callers(found, AN_HOUR)
    assert len(queries) == 5


def test_new_and_returning_ones_of_each_day_are_those_counted_by_hand(prod: Environment, orders: Endpoint) -> None:
    """Days of Kolkata, whose midnight is 18:30 UTC; whoever called twice in a day is counted once."""
    zone = ZoneInfo("Asia/Kolkata")
    midnight = datetime(2026, 6, 15, tzinfo=zone).astimezone(UTC)
    first_calls = {"old": -40 * DAY, "ann": timedelta(), "ben": DAY - QUARTER, "cem": DAY, "dan": 2 * DAY}
    named = {
        name: Consumer.objects.create(app=prod.app, identifier=name, first_request_at=midnight + first)
        for name, first in first_calls.items()
    }
    named["untold"] = Consumer.objects.create(app=prod.app, identifier="untold")  # nobody knows since when
    calls = {
        "old": [timedelta(), HOUR, DAY],
        "ann": [timedelta(), HOUR, DAY - QUARTER, 2 * DAY],
        "ben": [DAY - QUARTER, DAY],
        "cem": [DAY, DAY + HOUR, 2 * DAY + HOUR],
        "dan": [2 * DAY],
        "untold": [2 * DAY],
    }
    file_traffic(
        Traffic(prod, orders, midnight + after, 1, named[name], status_code=200 + number)
        for name, moments in calls.items()
        for number, after in enumerate(moments)
    )
    file_traffic([Traffic(prod, orders, midnight + 2 * HOUR, 9)])  # who names nobody is neither
    slice_ = slice_of(prod.app, start=midnight, end=midnight + 3 * DAY)
    assert slice_ is not None
    days = list(periods(slice_.start, slice_.end, interval=Interval.DAY, zone=zone))
    found = callers(slice_, days)
    assert found.by_period == [
        PeriodCallers(new=2, returning=1),  # ann and ben; old
        PeriodCallers(new=1, returning=2),  # cem; old and ben
        PeriodCallers(new=1, returning=3),  # dan; ann, cem and untold
    ]
    assert (found.new, found.returning) == (sum(each.new for each in found.by_period), 2)


def test_who_called_another_endpoint_before_returns_to_this_one(prod: Environment, orders: Endpoint) -> None:
    other = endpoint(prod.app, "GET /other")
    ann = Consumer.objects.create(app=prod.app, identifier="ann", first_request_at=NOON)
    file_traffic([Traffic(prod, other, NOON, 1, ann), Traffic(prod, orders, NOON + QUARTER, 1, ann)])
    found = callers(an_hour(prod, endpoint_id=orders.pk), AN_HOUR)
    assert found.by_period[:2] == [PeriodCallers(), PeriodCallers(new=0, returning=1)]


def test_each_of_as_many_periods_as_there_may_be_is_told_apart(prod: Environment, orders: Endpoint) -> None:
    quarters = [TimePeriod(NOON + n * QUARTER, NOON + (n + 1) * QUARTER) for n in range(PERIODS_MAX + 1)]
    ann = Consumer.objects.create(app=prod.app, identifier="ann", first_request_at=quarters[-2].start)
    ben = Consumer.objects.create(app=prod.app, identifier="ben", first_request_at=NOON)
    file_traffic([Traffic(prod, orders, quarters[-2].start, 1, ann), Traffic(prod, orders, NOON, 1, ben)])
    slice_ = slice_of(prod.app, start=NOON, end=quarters[-2].end)
    assert slice_ is not None
    told = callers(slice_, quarters[:-1]).by_period
    assert (told[0], told[-1]) == (PeriodCallers(new=1), PeriodCallers(new=1))
    assert set(told[1:-1]) == {PeriodCallers()}
    with pytest.raises(ValueError, match="63 periods"):
        callers(slice_, quarters)


def test_sums_that_hostile_reports_filled_are_at_most_so_much(prod: Environment, orders: Endpoint) -> None:
    ann = Consumer.objects.create(app=prod.app, identifier="ann")
    file_traffic([Traffic(prod, orders, NOON + n * QUARTER, 2**62, ann, 500) for n in range(4)])
    found = callers(an_hour(prod), AN_HOUR)
    assert found.page[0].sums == found.total == Sums(MOST, server_errors=MOST)
