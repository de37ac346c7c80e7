"""Groups of the same error within a slice: how often, to how many, over time and to whom."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from analytics.models import Consumer, Endpoint, Environment, ErrorGroup, ErrorKind, ErrorQuarter
from analytics.periods import HOUR, QUARTER, TimePeriod
from analytics.statistics import errors
from analytics.statistics.errors import CountedGroup, ToConsumer, error_groups, history_of
from analytics.statistics.slices import Slice, slice_of
from tests.analytics.filed import endpoint, observe
from tests.cast import Tenant
from tests.queries import counting_queries

NOON = datetime(2026, 6, 15, 12, tzinfo=UTC)


@pytest.fixture
def prod(alice: Tenant) -> Environment:
    return observe(alice)


@pytest.fixture
def orders(prod: Environment) -> Endpoint:
    return endpoint(prod.app, "GET /orders")


def an_hour(environment: Environment, **narrowed: int) -> Slice:
    found = slice_of(environment.app, start=NOON, end=NOON + HOUR, **narrowed)
    assert found is not None
    return found


def error_group(environment: Environment, of: Endpoint, **fields: Any) -> ErrorGroup:
    """A server error of all day, unless told otherwise."""
    usual: dict[str, Any] = {"app": environment.app, "environment": environment, "endpoint": of, "occurrences": 1}
    usual |= {"kind": ErrorKind.SERVER, "type": "KeyError", "fingerprint": fields.get("type", "KeyError").encode()}
    usual |= {"first_seen_at": NOON - timedelta(hours=12), "last_seen_at": NOON + timedelta(hours=12)}
    return ErrorGroup.objects.create(**usual | fields)


def occur(group: ErrorGroup, quarter: datetime, occurrences: int, consumer: Consumer | None = None) -> None:
    consumer_id = consumer.pk if consumer else 0
    ErrorQuarter.objects.create(group=group, quarter=quarter, consumer_id=consumer_id, occurrences=occurrences)


def test_groups_are_counted_within_the_slice_the_most_frequent_first(prod: Environment, orders: Endpoint) -> None:
    ann, ben = (Consumer.objects.create(app=prod.app, identifier=name) for name in ("ann", "ben"))
    rare, frequent = error_group(prod, orders, type="Rare"), error_group(prod, orders, type="Frequent")
    invalid = error_group(prod, orders, type="missing", kind=ErrorKind.VALIDATION)
    error_group(prod, orders, type="Elsewhen")
    for group in (rare, frequent, invalid):
        occur(group, NOON - QUARTER, 50)
        occur(group, NOON + HOUR, 50)
    occur(rare, NOON, 1)
    occur(frequent, NOON, 4, ann)
    occur(frequent, NOON + QUARTER, 2, ben)
    occur(frequent, NOON + QUARTER, 1, ann)
    occur(frequent, NOON + QUARTER, 3)
    occur(invalid, NOON, 5, ann)
    assert error_groups(an_hour(prod), ErrorKind.SERVER).groups == [
        CountedGroup(frequent, 10, 2),
        CountedGroup(rare, 1, 0),
    ]
    assert error_groups(an_hour(prod), ErrorKind.VALIDATION).groups == [CountedGroup(invalid, 5, 1)]
    assert error_groups(an_hour(prod, consumer_id=ann.pk), ErrorKind.SERVER).groups == [CountedGroup(frequent, 5, 1)]


def test_groups_of_other_places_do_not_count(prod: Environment, orders: Endpoint, alice: Tenant) -> None:
    dev = observe(alice, app=prod.app, name="dev")
    left_out = endpoint(prod.app, "GET /health", is_excluded=True)
    groups = [error_group(place, of) for place, of in ((prod, orders), (dev, orders), (prod, left_out))]
    for group in groups:
        occur(group, NOON, 1)

    def found(**narrowed: int) -> set[ErrorGroup]:
        return {each.group for each in error_groups(an_hour(prod, **narrowed), ErrorKind.SERVER).groups}

    assert found() == set(groups[:2])
    assert found(environment_id=dev.pk) == {groups[1]}
    assert found(endpoint_id=orders.pk) == set(groups[:2])
    assert found(endpoint_id=left_out.pk) == set()


def test_that_not_all_were_examined_is_told(
    prod: Environment, orders: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(errors, "GROUPS_EXAMINED", 2)
    groups = [
        error_group(prod, orders, type=f"E{number}", last_seen_at=NOON + timedelta(minutes=number))
        for number in range(3)
    ]
    for group in groups:
        occur(group, NOON, 1)
    found = error_groups(an_hour(prod), ErrorKind.SERVER)
    assert ([each.group for each in found.groups], found.is_bounded) == ([groups[2], groups[1]], True)


def test_a_groups_history_tells_when_and_to_whom(prod: Environment, orders: Endpoint) -> None:
    ann = Consumer.objects.create(app=prod.app, identifier="ann")
    group = error_group(prod, orders)
    occur(group, NOON, 1)
    occur(group, NOON, 4, ann)
    occur(group, NOON + QUARTER, 2, ann)
    occur(group, NOON + HOUR, 99)
    quarters = [TimePeriod(NOON + n * QUARTER, NOON + (n + 1) * QUARTER) for n in range(4)]
    found = history_of(group, quarters)
    assert found.by_period == [5, 2, 0, 0]
    assert found.consumers == [ToConsumer(ann, 6), ToConsumer(None, 1)]
    of_ann = history_of(group, quarters, consumer_id=ann.pk)
    assert of_ann.by_period == [4, 2, 0, 0]
    assert of_ann.consumers == [ToConsumer(ann, 6)]


def test_it_costs_two_selects_however_many_groups_there_are(prod: Environment, orders: Endpoint) -> None:
    for number in range(10):
        occur(error_group(prod, orders, type=f"E{number}"), NOON, 1)
    found = an_hour(prod)
    with counting_queries() as queries:
        groups = error_groups(found, ErrorKind.SERVER).groups
        assert [str(each.group.endpoint) for each in groups] == ["GET /orders"] * 10
    assert len(queries) == 2
