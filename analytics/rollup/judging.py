"""Which source of an environment is in force since when, judged from the quarter hours in which sources spoke.

Each source above decisions claims time for itself (`_claims`); at any moment the highest claim is in force, and
decisions where there is none. That makes the outcome a function of the facts alone, whatever the order they came in.
The rows of TrafficSource are its result; a change is judged anew from 24 hours before it, never from the beginning.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from django.db import connection, transaction
from django.db.models import QuerySet

from analytics.models import Record, Source, SourceQuarter, TrafficSource
from analytics.periods import QUARTER

SILENCE = timedelta(hours=24)
BEGINNING, OPEN = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)
# Judges of one environment wait for each other: each must see the facts of those before it. The first number is any
# that no other pair of advisory locks has.
LOCK = "SELECT pg_advisory_xact_lock(5108004, %s::int)"
FELL_SILENT = """
WITH latest AS (
  SELECT DISTINCT ON (environment_id, record) environment_id, record, source
    FROM analytics_trafficsource ORDER BY environment_id, record, since DESC)
SELECT environment_id, record FROM latest
 WHERE source > 1 AND NOT EXISTS (
       SELECT FROM analytics_sourcequarter AS heard
        WHERE heard.environment_id = latest.environment_id AND heard.record = latest.record
          AND heard.source = latest.source AND heard.quarter > %s AND (heard.record = 1 OR heard.has_requests))
 ORDER BY environment_id, record
"""


class Fact(NamedTuple):
    """That a source spoke in a quarter hour, and whether it told of a request."""

    quarter: datetime
    source: int
    has_requests: bool


class Change(NamedTuple):
    """From `since` on this source is in force."""

    source: int
    since: datetime


class Claim(NamedTuple):
    """A source claims [since, end); `is_rise` is false of one that it made before what is judged begins."""

    source: int
    since: datetime
    end: datetime
    is_rise: bool


class Before(NamedTuple):
    """What is known of the time before `start`: the source in force, and of those with a claim when each spoke last."""

    start: datetime = BEGINNING
    source: int = Source.DECISION
    heard: Mapping[int, datetime] = {}


NOTHING = Before()


def judged(facts: Iterable[Fact], *, now: datetime, before: Before = NOTHING) -> list[Change]:
    """The changes from `before.start` on, in order, by one environment's facts from a quarter before the start on."""
    told = sorted(facts)
    now = max([now, *(fact.quarter for fact in told[-1:])])  # a reporter's clock may be ahead of ours
    claims: list[Claim] = []
    for source in sorted({fact.source for fact in told}.union(before.heard) - {Source.DECISION}, reverse=True):
        rises = [claim.since for claim in claims if claim.is_rise]
        claims += [claim for claim in _claims(source, told, rises, now, before) if claim.since < claim.end]
    changes, current = [], before.source
    for moment in sorted({before.start}.union(*((claim.since, claim.end) for claim in claims)) - {OPEN}):
        highest = max((claim.source for claim in claims if claim.since <= moment < claim.end), default=Source.DECISION)
        if highest != current:
            changes.append(Change(highest, moment))
        current = highest
    return changes


def judge(changed: Iterable[tuple[int, Record, datetime]], *, now: datetime) -> None:
    """Brings TrafficSource up to date after facts changed: environment, record, and the earliest quarter that did.

    In the caller's transaction, and the last thing that is done for an environment there: others wait from here on.
    """
    earliest: dict[tuple[int, Record], datetime] = {}
    for environment_id, record, quarter in changed:
        earliest[environment_id, record] = min(quarter, earliest.get((environment_id, record), quarter))
    for (environment_id, record), quarter in sorted(earliest.items()):
        with connection.cursor() as cursor:
            cursor.execute(LOCK, [environment_id])
        before = _known_before(environment_id, record, quarter)
        facts = _facts(environment_id, record).filter(quarter__gte=before.start - QUARTER)
        told = [Fact(*row) for row in facts.values_list("quarter", "source", "has_requests")]
        _keep(environment_id, record, before.start, judged(told, now=now, before=before))


def judge_silent(now: datetime) -> int:
    """Judges the environments whose source in force was not heard for 24 hours; how many. One SELECT where none is."""
    with connection.cursor() as cursor:
        cursor.execute(FELL_SILENT, [now - SILENCE - QUARTER])
        silent = cursor.fetchall()
    for environment_id, record in silent:
        with transaction.atomic():
            judge([(environment_id, Record(record), quarter_of(now))], now=now)
    return len(silent)


def quarter_of(moment: datetime) -> datetime:
    """The beginning of the quarter hour that holds a moment."""
    return moment - timedelta(minutes=moment.minute % 15, seconds=moment.second, microseconds=moment.microsecond)


def _claims(
    source: int, told: Sequence[Fact], rises: Sequence[datetime], now: datetime, before: Before
) -> Iterator[Claim]:
    """From its first request, or the next quarter hour where a lower source told of one in the same, until it falls
    silent: then its claim ended with the quarter in which it spoke last, and begins anew with its next request.

    `rises` of higher sources: one that rose in those 24 hours followed it without a gap, and no silence is seen.
    """
    shared = {fact.quarter for fact in told if fact.source < source and fact.has_requests}
    heard = before.heard.get(source)
    since, is_rise = (before.start, False) if heard else (None, True)
    for quarter, _, has_requests in (fact for fact in told if fact.source == source):
        if since and heard and quarter >= heard + QUARTER + SILENCE:
            yield Claim(source, since, _end(heard, rises), is_rise)
            since, is_rise = None, True
        heard = quarter
        if has_requests and since is None:
            since = max(before.start, quarter + QUARTER if quarter in shared else quarter)
    if since and heard:
        yield Claim(source, since, _end(heard, rises) if now >= heard + QUARTER + SILENCE else OPEN, is_rise)


def _end(heard: datetime, rises: Iterable[datetime]) -> datetime:
    end = heard + QUARTER
    return min((rise for rise in rises if end <= rise < end + SILENCE), default=end)


def _known_before(environment_id: int, record: Record, changed: datetime) -> Before:
    """As far back as a change of this quarter can matter, and to where the source in force was heard before that.

    What lies before is settled: a fact unsays a silence of the 24 hours before it, and no older one.
    """
    facts, rows = _facts(environment_id, record), _rows(environment_id, record)
    start = changed - SILENCE
    while True:
        row = rows.filter(since__lt=start).order_by("-since").first()
        if row is None or row.source == Source.DECISION:
            return Before(start)
        last = facts.filter(source=row.source, quarter__lt=start).order_by("-quarter").first()
        start = min(start, last.quarter + QUARTER) if last else row.since
        if last and row.since < start:
            lower = {source: _claiming(facts, source, start) for source in range(Source.DECISION + 1, row.source)}
            heard = {source: quarter for source, quarter in lower.items() if quarter}
            return Before(start, row.source, heard | {row.source: last.quarter})


def _claiming(facts: QuerySet[SourceQuarter], source: int, start: datetime) -> datetime | None:
    """When a source spoke last before `start`, if it may still claim then: it told of a request since it was silent.

    Cost: one SELECT for each 24 hours through which it spoke of none.
    """
    last, bound = None, start
    while True:
        window = facts.filter(source=source, quarter__lt=bound, quarter__gt=bound - QUARTER - SILENCE)
        spoken = list(window.order_by("-quarter").values_list("quarter", "has_requests"))
        if not spoken:
            return None
        last = last or spoken[0][0]
        for quarter, has_requests in spoken:
            if has_requests:
                return last
            bound = quarter


def _facts(environment_id: int, record: Record) -> QuerySet[SourceQuarter]:
    """Of request logs only requests count: a process that lives but logs none has fallen silent (ruling 11)."""
    facts = SourceQuarter.objects.filter(environment_id=environment_id, record=record)
    return facts.filter(has_requests=True) if record is Record.REQUEST_LOG else facts


def _rows(environment_id: int, record: Record) -> QuerySet[TrafficSource]:
    return TrafficSource.objects.filter(environment_id=environment_id, record=record)


def _keep(environment_id: int, record: Record, start: datetime, changes: Iterable[Change]) -> None:
    """Makes the rows from `start` on these, touching none that already is."""
    wanted = set(changes)
    found = {Change(row.source, row.since): row for row in _rows(environment_id, record).filter(since__gte=start)}
    wrong = [row.pk for change, row in found.items() if change not in wanted]
    if wrong:
        _rows(environment_id, record).filter(pk__in=wrong).delete()
    TrafficSource.objects.bulk_create(
        TrafficSource(environment_id=environment_id, record=record, source=change.source, since=change.since)
        for change in sorted(wanted - found.keys())
    )
