"""The fold leaves the processors to validate while decisions come fast, but lets none wait longer than a minute."""

from datetime import datetime, timedelta

import pytest
from django.conf import LazySettings
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from accounts.secrets import Bucket
from analytics.rollup.folding import fold_decisions
from analytics.rollup.giving_way import WAITS_AT_MOST, while_validate_is_busy
from keys.events import StreamId
from keys.ledger.drain import drain_all
from keys.ledger.pace import Pace
from tests.analytics.folds import decide
from tests.cast import Tenant
from tests.store_redis import StoreRedis


@pytest.fixture
def _is_busy(monkeypatch: pytest.MonkeyPatch, settings: LazySettings) -> None:
    monkeypatch.setattr(Pace, "per_second", lambda _: float(settings.LIMITLY_FOLD_GIVES_WAY_AT))


def fold(now: datetime) -> int:
    return fold_decisions(for_s=10, now=now, gives_way=while_validate_is_busy(now))


@pytest.mark.usefixtures("_is_busy")
def test_while_validate_is_busy_a_fresh_decision_waits_and_an_old_one_does_not(
    stores: StoreRedis, alice: Tenant
) -> None:
    made = timezone.now()
    decide(stores, alice, made)
    drain_all(for_s=10)
    last_that_waits = made + WAITS_AT_MOST - timedelta(milliseconds=1)
    assert fold(last_that_waits) == 0
    assert fold(made + WAITS_AT_MOST) == 1


@pytest.mark.usefixtures("_is_busy")
def test_how_long_nothing_came_before_is_no_waiting(stores: StoreRedis, alice: Tenant) -> None:
    now = timezone.now()
    decide(stores, alice, now - timedelta(hours=3))
    drain_all(for_s=10)
    assert fold_decisions(for_s=10, now=now) == 1
    decide(stores, alice, now)
    drain_all(for_s=10)
    assert fold(now) == 0


def test_while_few_decisions_are_made_nothing_waits_nor_is_asked(
    stores: StoreRedis, alice: Tenant, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    decide(stores, alice, timezone.now())
    drain_all(for_s=10)
    gives_way = while_validate_is_busy(timezone.now())
    with django_assert_num_queries(0):
        assert not gives_way(Bucket(alice.account.bucket), StreamId(0, 0), StreamId(1, 0))
    assert fold(timezone.now()) == 1


def test_the_pace_is_what_the_streams_were_given_since_the_last_look(stores: StoreRedis, alice: Tenant) -> None:
    pace = Pace()
    assert pace.per_second() == 0
    now = timezone.now()
    for number in range(50):
        decide(stores, alice, now, number)
    assert 0 < pace.per_second() <= 500  # fifty in a tenth of a second or longer
    drain_all(for_s=10)
    assert pace.per_second() == 0  # what is drained was made all the same
