"""Which source is in force since when: a function of the facts, whatever the order they came in."""

import random
import threading
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import pytest
from django.db import connection, transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from analytics import services
from analytics.models import Environment, Record, SourceQuarter, TrafficSource
from analytics.periods import QUARTER
from analytics.rollup import judging
from analytics.rollup.judging import Change, Fact, judge, judge_silent, judged
from tests.analytics.histories import (
    DECISIONS,
    METRICS,
    SPANS,
    at,
    fact,
    facts,
    file_facts,
    histories,
    in_force_by_changes,
    in_force_by_definition,
    merged,
    moments,
    rows,
)
from tests.cast import BY, Tenant, new_tenant
from tests.queries import counting_queries

DAY = 96  # quarter hours


# --- the rule -----------------------------------------------------------------------------------------------------
def test_an_environment_begins_with_decisions() -> None:
    assert judged([], now=at(0)) == []
    assert judged(facts(DECISIONS, range(5)), now=at(5)) == []


def test_a_higher_source_is_in_force_from_its_first_request() -> None:
    assert judged(facts(METRICS, range(3, 6)), now=at(6)) == [Change(METRICS, at(3))]


def test_it_waits_for_the_next_quarter_where_a_lower_source_told_of_a_request_in_the_same() -> None:
    told = [*facts(DECISIONS, range(9)), *facts(SPANS, range(3, 9))]
    assert judged(told, now=at(9)) == [Change(SPANS, at(4))]


def test_a_lower_source_that_only_lived_is_not_waited_for() -> None:
    told = [fact(3, SPANS, has_requests=False), *facts(METRICS, range(3, 9))]
    assert judged(told, now=at(9)) == [Change(METRICS, at(3))]


def test_startups_heartbeats_and_empty_syncs_never_switch() -> None:
    told = [*facts(METRICS, range(10), has_requests=False), fact(10, METRICS)]
    assert judged(told, now=at(11)) == [Change(METRICS, at(10))]


def test_a_source_that_is_silent_for_24_hours_was_in_force_until_it_last_spoke() -> None:
    told = [*facts(DECISIONS, range(8 + DAY)), *facts(METRICS, range(3, 9))]
    risen = Change(METRICS, at(4))
    assert judged(told, now=at(9 + DAY) - QUARTER / 15) == [risen]
    assert judged(told, now=at(9 + DAY)) == [risen, Change(DECISIONS, at(9))]


def test_a_heartbeat_keeps_a_source_in_force() -> None:
    told = [fact(3, METRICS), fact(3 + DAY, METRICS, has_requests=False), fact(3 + 2 * DAY, METRICS)]
    assert judged(told, now=at(3 + 2 * DAY)) == [Change(METRICS, at(3))]


def test_a_source_rises_again_by_its_next_request() -> None:
    told = [fact(0, METRICS), fact(1 + DAY, METRICS, has_requests=False), *facts(METRICS, range(4 + DAY, 8 + DAY))]
    assert judged(told, now=at(8 + DAY)) == [
        Change(METRICS, at(0)),
        Change(DECISIONS, at(1)),
        Change(METRICS, at(4 + DAY)),
    ]


def test_a_silent_source_leaves_to_the_highest_that_speaks() -> None:
    told = [*facts(SPANS, range(300)), *facts(METRICS, range(10, 20)), *facts(DECISIONS, range(300))]
    assert judged(told, now=at(300)) == [Change(SPANS, at(1)), Change(METRICS, at(11)), Change(SPANS, at(20))]


def test_a_source_heard_once_beside_another_was_never_in_force_once_it_is_silent() -> None:
    told = [*facts(DECISIONS, range(9)), fact(3, METRICS)]
    assert judged(told, now=at(9)) == [Change(METRICS, at(4))]
    assert judged(told, now=at(4 + DAY)) == []


def test_what_a_higher_source_takes_over_from_has_not_fallen_silent() -> None:
    """As when an app moves from spans to metrics: its restart is no silence, however long ago it is."""
    told = [*facts(SPANS, range(3)), *facts(METRICS, range(7, 300)), *facts(DECISIONS, range(300))]
    assert judged(told, now=at(300)) == [Change(SPANS, at(1)), Change(METRICS, at(8))]


def test_a_word_from_after_24_hours_shows_that_they_have_passed() -> None:
    """A reporter's clock may be ahead of ours: what it shows to be over is over."""
    told = [fact(0, METRICS), fact(1 + DAY, DECISIONS)]
    assert judged(told, now=at(DAY)) == [Change(METRICS, at(0)), Change(DECISIONS, at(1))]


@settings(max_examples=40, deadline=None)
@given(histories, moments)
def test_every_quarter_hour_has_the_one_source_that_the_rule_names(told: list[Fact], now: datetime) -> None:
    kept = merged(told)
    changes = judged(kept, now=now)
    for number in range(-2, 500, 7):
        quarter = at(number)
        assert in_force_by_changes(changes, quarter) == in_force_by_definition(kept, quarter, now)


@given(histories, moments, st.randoms(use_true_random=False))
def test_the_order_of_facts_is_nothing(told: list[Fact], now: datetime, chance: random.Random) -> None:
    kept = merged(told)
    changes = judged(kept, now=now)
    chance.shuffle(kept)
    assert judged(kept, now=now) == changes
    assert [change.since for change in changes] == sorted({change.since for change in changes})


# --- its rows -----------------------------------------------------------------------------------------------------
@pytest.fixture
def prod(db: None) -> Environment:
    return _environment(new_tenant("Alice"))


def _environment(tenant: Tenant, name: str = "prod") -> Environment:
    return Environment.objects.create(app=services.create_app(tenant.account, by=BY, name="Shop"), name=name)


def _arrive(environment: Environment, told: list[Fact], *, now: datetime, record: Record = Record.TRAFFIC) -> None:
    file_facts(environment.pk, told, record=record)
    judge([(environment.pk, record, each.quarter) for each in told], now=now)


def _batches(told: list[Fact], chance: random.Random) -> Iterator[list[Fact]]:
    rest = chance.sample(told, len(told))
    while rest:
        size = chance.randint(1, 6)
        yield rest[:size]
        rest = rest[size:]


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(histories, moments, st.integers(0, 2**32))
def test_whatever_order_facts_arrive_in_the_rows_are_the_same(
    prod: Environment, told: list[Fact], now: datetime, seed: int
) -> None:
    with transaction.atomic():
        chance = random.Random(seed)
        for _ in range(2):
            SourceQuarter.objects.all().delete()
            TrafficSource.objects.all().delete()
            _arrive_in_some_order(prod, told, now, chance)
            judge_silent(now)
            assert rows(prod.pk) == judged(merged(told), now=now)


def _arrive_in_some_order(environment: Environment, told: list[Fact], now: datetime, chance: random.Random) -> None:
    """In batches of any size, judged by a clock that goes forward to `now`."""
    clock = sorted(min(now, at(chance.randint(0, 500))) for _ in told)
    for batch, moment in zip(_batches(told, chance), clock, strict=False):
        _arrive(environment, batch, now=moment)
        if chance.random() < 0.2:
            judge_silent(moment)


def test_an_environment_that_falls_silent_is_judged_by_the_clock(prod: Environment) -> None:
    _arrive(prod, facts(METRICS, range(4)), now=at(4))
    assert judge_silent(at(3 + DAY)) == 0
    assert rows(prod.pk) == [Change(METRICS, at(0))]
    assert judge_silent(at(4 + DAY) + QUARTER / 3) == 1
    assert rows(prod.pk) == [Change(METRICS, at(0)), Change(DECISIONS, at(4))]
    assert judge_silent(at(5 + DAY)) == 0


def test_a_silence_that_nobody_judged_in_time_is_found_by_the_next_fact(prod: Environment) -> None:
    _arrive(prod, facts(METRICS, range(4)), now=at(4))
    _arrive(prod, [fact(9 * DAY, DECISIONS)], now=at(9 * DAY))
    assert rows(prod.pk) == [Change(METRICS, at(0)), Change(DECISIONS, at(4))]


def test_a_late_fact_unsays_a_silence(prod: Environment) -> None:
    _arrive(prod, [fact(0, METRICS), fact(150, METRICS)], now=at(151))
    assert rows(prod.pk) == [Change(METRICS, at(0)), Change(DECISIONS, at(1)), Change(METRICS, at(150))]
    _arrive(prod, [fact(80, METRICS, has_requests=False)], now=at(152))
    assert rows(prod.pk) == [Change(METRICS, at(0))]


def test_a_late_request_of_a_lower_source_moves_the_boundary(prod: Environment) -> None:
    _arrive(prod, facts(METRICS, range(4)), now=at(4))
    _arrive(prod, [fact(0, DECISIONS)], now=at(5))
    assert rows(prod.pk) == [Change(METRICS, at(1))]


def test_spans_beneath_metrics_are_remembered_through_days_of_heartbeats(prod: Environment) -> None:
    spans = [fact(0, SPANS), *facts(SPANS, range(50, 6 * DAY, 90), has_requests=False)]
    _arrive(prod, spans + facts(METRICS, range(2, 4 * DAY)), now=at(4 * DAY))
    _arrive(prod, [fact(6 * DAY, SPANS, has_requests=False)], now=at(6 * DAY))
    assert rows(prod.pk) == [Change(SPANS, at(0)), Change(METRICS, at(2)), Change(SPANS, at(4 * DAY))]


def test_request_logs_are_judged_by_themselves_and_by_requests_alone(prod: Environment) -> None:
    told = [fact(0, 2), *facts(2, range(1, 2 * DAY, 5), has_requests=False)]
    _arrive(prod, told, now=at(2 * DAY), record=Record.REQUEST_LOG)
    assert rows(prod.pk, record=Record.REQUEST_LOG) == [Change(2, at(0)), Change(1, at(1))]
    assert rows(prod.pk) == []


def test_silent_request_logs_are_found_although_the_source_lives(prod: Environment) -> None:
    _arrive(prod, [fact(0, 2)], now=at(1), record=Record.REQUEST_LOG)
    file_facts(prod.pk, facts(2, range(1, 2 * DAY), has_requests=False), record=Record.REQUEST_LOG)
    assert judge_silent(at(2 * DAY)) == 1
    assert rows(prod.pk, record=Record.REQUEST_LOG) == [Change(2, at(0)), Change(1, at(1))]


def test_a_neighbouring_environment_is_untouched(prod: Environment) -> None:
    dev = Environment.objects.create(app=prod.app, name="dev")
    _arrive(dev, facts(SPANS, range(3)), now=at(3))
    _arrive(prod, facts(METRICS, range(3)), now=at(3))
    assert rows(dev.pk) == [Change(SPANS, at(0))]
    assert rows(prod.pk) == [Change(METRICS, at(0))]


def test_rows_that_stay_are_not_written_again(prod: Environment) -> None:
    _arrive(prod, [fact(0, METRICS)], now=at(1))
    (before,) = TrafficSource.objects.values_list("pk", flat=True)
    _arrive(prod, [fact(1, METRICS), fact(1, DECISIONS)], now=at(2))
    assert list(TrafficSource.objects.values_list("pk", flat=True)) == [before]


def test_a_new_quarter_after_a_year_rereads_a_day_or_two(prod: Environment, monkeypatch: pytest.MonkeyPatch) -> None:
    hours = range(0, 365 * DAY, 4)
    SourceQuarter.objects.bulk_create(
        SourceQuarter(environment_id=prod.pk, record=1, quarter=at(hour), source=source, has_requests=True)
        for hour in hours
        for source in (SPANS, METRICS)
    )
    judge([(prod.pk, Record.TRAFFIC, at(0))], now=at(365 * DAY))
    read: list[Fact] = []

    def judged_of(facts: list[Fact], **given: Any) -> list[Change]:
        read.extend(facts)
        return judged(facts, **given)

    monkeypatch.setattr(judging, "judged", judged_of)
    with counting_queries() as seen:
        _arrive(prod, [fact(365 * DAY, METRICS)], now=at(365 * DAY))
    assert rows(prod.pk) == [Change(SPANS, at(0)), Change(METRICS, at(1))]
    assert 0 < len(read) < 2 * 26
    assert len([statement for statement in seen if "SELECT" in statement]) < 12


@pytest.mark.django_db(transaction=True)
def test_two_that_judge_at_once_see_each_others_facts() -> None:
    """The first holds its facts uncommitted; the second, whose facts alone say another thing, waits for it."""
    prod = _environment(new_tenant("Alice"))
    filed = threading.Event()

    def judge_beside() -> None:
        filed.wait(30)
        with transaction.atomic():
            _arrive(prod, facts(METRICS, range(4)), now=at(4))
        connection.close()

    other = threading.Thread(target=judge_beside)
    other.start()
    with transaction.atomic():
        _arrive(prod, [fact(0, DECISIONS)], now=at(4))
        filed.set()
        other.join(0.5)
    other.join(30)
    assert rows(prod.pk) == [Change(METRICS, at(1))]
