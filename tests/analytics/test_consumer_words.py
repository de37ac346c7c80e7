"""What is said of consumers: each word newest by the report's own time, in whichever order it comes."""

from collections.abc import Sequence
from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analytics.models import Consumer, ConsumerGroup
from analytics.observations import ConsumerTold
from analytics.rollup.consumers import Words
from tests.analytics.reporting import DAY, HOUR, MINUTE, NOW, call, file, new_app, observed, request, rows, traffic
from tests.cast import Tenant

words = st.builds(
    ConsumerTold,
    identifier=st.just("uma"),
    at=st.sampled_from([NOW, NOW + MINUTE, NOW + MINUTE / 60_000_000, NOW + HOUR]),
    name=st.none() | st.sampled_from(["", "Uma", "Una"]),
    group=st.none() | st.sampled_from(["", "Admins", "Guests"]),
    attributes=st.dictionaries(st.sampled_from("abc"), st.none() | st.sampled_from(["", "1", "2"]), max_size=3),
)


def _learned(told: Sequence[ConsumerTold]) -> Words:
    known = Words()
    for word in told:
        known.learn(word)
    return known


@given(st.lists(words, max_size=8).flatmap(lambda told: st.tuples(st.just(told), st.permutations([*told, *told]))))
def test_in_any_order_and_again_the_same_words_end_alike(
    given_: tuple[list[ConsumerTold], list[ConsumerTold]],
) -> None:
    told, shuffled = given_
    assert _learned(shuffled) == _learned(told)


def _told(at: datetime, **words: object) -> ConsumerTold:
    return ConsumerTold("uma", at, **words)  # type: ignore[arg-type]


@pytest.mark.parametrize("order", [(0, 1, 2, 3), (3, 2, 1, 0), (2, 0, 3, 1)])
@pytest.mark.parametrize("together", [True, False])
def test_each_word_is_the_newest_that_was_told_of_it(alice: Tenant, order: tuple[int, ...], together: bool) -> None:
    app = new_app(alice)
    told = [
        _told(NOW - DAY, name="Uma", group="Guests", attributes={"tier": "free", "city": "Oslo"}),
        _told(NOW - HOUR, group="Admins", attributes={"tier": "gold", "city": None}),
        _told(NOW - 2 * HOUR, name="Uma B", attributes={"city": "Rome"}),
        _told(NOW, attributes={"lang": "no"}),
    ]
    batches = [[told[number] for number in order]] if together else [[told[number]] for number in order]
    for batch in batches:
        file(app, observed(consumers=batch))
    uma = Consumer.objects.select_related("group").get()
    assert (uma.name, uma.group and uma.group.name) == ("Uma B", "Admins")
    assert uma.attributes == {"tier": "gold", "lang": "no"}


def test_a_name_alone_leaves_the_group(alice: Tenant) -> None:
    app = new_app(alice)
    file(app, observed(consumers=[_told(NOW, group="Admins")]))
    file(app, observed(consumers=[_told(NOW + HOUR, name="Uma")]))
    assert Consumer.objects.get().group == ConsumerGroup.objects.get()
    file(app, observed(consumers=[_told(NOW + 2 * HOUR, group="")]))
    assert Consumer.objects.get().group is None


def test_a_word_that_is_older_writes_nothing(alice: Tenant) -> None:
    app = new_app(alice)
    file(app, observed(consumers=[_told(NOW, name="Uma", group="Admins", attributes={"a": "1"})]))
    before = rows("SELECT ctid, xmax FROM analytics_consumer")
    file(app, observed(consumers=[_told(NOW - HOUR, name="Other", group="Guests", attributes={"a": "2"})]))
    assert rows("SELECT ctid, xmax FROM analytics_consumer") == before


def test_consumers_know_when_they_called_first_and_last(alice: Tenant) -> None:
    app, uma = new_app(alice), call(consumer="uma")
    file(app, observed(consumers=[_told(NOW + DAY, name="Uma")]))
    assert Consumer.objects.get().last_request_at is None
    file(app, observed(traffic(1, of=uma), traffic(1, of=uma, at=NOW - HOUR), traffic(0, of=uma, at=NOW + DAY)))
    file(app, observed(requests=[request(of=uma, at=NOW + MINUTE)]))
    file(app, observed(traffic(1, of=uma, at=NOW - MINUTE)))
    called = Consumer.objects.get()
    assert (called.first_request_at, called.last_request_at) == (NOW - HOUR, NOW + MINUTE)


def test_one_consumer_takes_so_many_attributes(alice: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("analytics.rollup.consumers.WORDS_MAX", 3)
    app = new_app(alice)
    left_out = file(app, observed(consumers=[_told(NOW, name="Uma", attributes=dict.fromkeys("abcd", "1"))]))
    assert left_out == {"attribute_limit": 2}
    assert Consumer.objects.get().attributes == {"a": "1", "b": "1"}


def test_words_on_a_consumer_beyond_the_limit_are_left_out(alice: Tenant, settings: object) -> None:
    settings.LIMITLY_APP_CONSUMERS_MAX = 1  # type: ignore[attr-defined]
    app = new_app(alice)
    file(app, observed(traffic(1, of=call(consumer="ugo"))))
    assert file(app, observed(consumers=[_told(NOW, name="Uma")])) == {"consumer_limit": 1}


def test_odd_texts_arrive_as_they_were_told(alice: Tenant) -> None:
    odd = 'a"b\\c{d},\n\t€'
    file(new_app(alice), observed(consumers=[ConsumerTold(odd, NOW, name=odd, group=odd, attributes={odd: odd})]))
    kept = Consumer.objects.select_related("group").get()
    assert (kept.identifier, kept.name, kept.attributes) == (odd, odd, {odd: odd})
    assert kept.group is not None
    assert kept.group.name == odd
