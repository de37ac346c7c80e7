"""Histories of an environment: which sources spoke in which quarter hours, and what was counted there."""

from collections.abc import Iterable
from datetime import UTC, datetime

from hypothesis import strategies as st

from analytics.models import Record, SourceQuarter, TrafficSource
from analytics.periods import QUARTER
from analytics.rollup.judging import SILENCE, Change, Fact

NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)
DECISIONS, SPANS, METRICS = 1, 2, 3


def at(quarters: int) -> datetime:
    return NOON + quarters * QUARTER


def fact(quarters: int, source: int, *, has_requests: bool = True) -> Fact:
    return Fact(at(quarters), source, has_requests)


def facts(source: int, quarters: Iterable[int], *, has_requests: bool = True) -> list[Fact]:
    return [fact(number, source, has_requests=has_requests) for number in quarters]


# A day holds 96 quarter hours: gaps on both sides of 24 hours are frequent.
single_facts = st.builds(
    Fact,
    st.one_of(st.integers(0, 12), st.integers(90, 110), st.integers(185, 300)).map(at),
    st.sampled_from([DECISIONS, SPANS, METRICS]),
    st.booleans(),
)
histories = st.lists(single_facts, min_size=1, max_size=24)
moments = st.integers(0, 500).map(at)


def merged(told: Iterable[Fact]) -> list[Fact]:
    """As the table keeps them: one row for each quarter hour and source."""
    found: dict[tuple[datetime, int], bool] = {}
    for quarter, source, has_requests in told:
        found[quarter, source] = found.get((quarter, source), False) or has_requests
    return [Fact(quarter, source, has_requests) for (quarter, source), has_requests in found.items()]


def in_force_by_definition(told: list[Fact], quarter: datetime, now: datetime) -> int:
    """The rule as it is said, asked of one quarter hour alone."""
    now = max(now, *(fact.quarter for fact in told))
    return next((source for source in (METRICS, SPANS) if _claims(told, source, quarter, now)), DECISIONS)


def in_force_by_changes(changes: Iterable[Change], quarter: datetime) -> int:
    return next((source for source, since in reversed(list(changes)) if since <= quarter), DECISIONS)


def _claims(told: list[Fact], source: int, quarter: datetime, now: datetime) -> bool:
    own = sorted(fact for fact in told if fact.source == source)
    heard = [fact.quarter for fact in own if fact.quarter <= quarter]
    if not heard or (quarter > heard[-1] and _is_silent(told, source, heard[-1], quarter, now)):
        return False
    begun = heard[-1]
    while any(begun - QUARTER - SILENCE < earlier < begun for earlier in heard):
        begun = min(earlier for earlier in heard if earlier > begun - QUARTER - SILENCE)
    return any(
        fact.has_requests and begun <= fact.quarter <= quarter and not (fact.quarter == quarter and _shared(told, fact))
        for fact in own
    )


def _is_silent(told: list[Fact], source: int, heard: datetime, quarter: datetime, now: datetime) -> bool:
    """Between this word of it and the next, or now; unless a higher source takes over from it before 24 hours end."""
    following = min((fact.quarter for fact in told if fact.source == source and fact.quarter > quarter), default=now)
    silent_at = heard + QUARTER + SILENCE
    if following < silent_at:
        return False
    ahead = [heard + number * QUARTER for number in range(1, 97)]
    rises = [
        each
        for each in ahead
        for higher in range(source + 1, METRICS + 1)
        if _claims(told, higher, each, now) and not _claims(told, higher, each - QUARTER, now)
    ]
    return not rises or quarter >= rises[0]


def _shared(told: list[Fact], higher: Fact) -> bool:
    return any(fact.quarter == higher.quarter and fact.source < higher.source and fact.has_requests for fact in told)


def file_facts(environment_id: int, told: Iterable[Fact], *, record: Record = Record.TRAFFIC) -> None:
    """As a roll-up does: what was told of a request is never unsaid."""
    for quarter, source, has_requests in told:
        place = {"environment_id": environment_id, "record": record, "quarter": quarter, "source": source}
        SourceQuarter.objects.get_or_create(**place, defaults={"has_requests": False})
        if has_requests:
            SourceQuarter.objects.filter(**place).update(has_requests=True)


def rows(environment_id: int, *, record: Record = Record.TRAFFIC) -> list[Change]:
    found = TrafficSource.objects.filter(environment_id=environment_id, record=record).order_by("since")
    return [Change(*row) for row in found.values_list("source", "since")]
