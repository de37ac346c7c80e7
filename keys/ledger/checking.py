"""Whether the counters, the ledger's sums and its events say the same; and where they do not."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import NamedTuple

from django.db import connection, transaction

from accounts.secrets import BUCKETS, Bucket
from keys.events import AdjustmentEvent, Event, from_ms, head_name, parse_entry, stream_name, to_ms
from keys.ledger.calls import RECKONED, Grain
from keys.ledger.drain import BATCH, drain_bucket
from keys.models import DeadEvent, StreamPosition, UsageWindow
from keys.partitions import DECISIONS
from keys.redis import client
from keys.subjects import Subject

COUNTERS_AT_ONCE = 1_000
OF_BUCKET = "account_id IN (SELECT id FROM accounts_account WHERE bucket = %(bucket)s)"
SUMS = """coalesce(sum(cost) FILTER (WHERE outcome = 1), 0), count(*) FILTER (WHERE outcome = 1),
       count(*) FILTER (WHERE outcome <> 1)"""
# What windows must hold: the sums of their decisions, and in the row of key 0 those of their adjustments.
WINDOWS_RECKONED = f"""
SELECT account_id, subject_kind, subject_id, api_key_id, window_start, window_end,
       coalesce(sum(cost) FILTER (WHERE outcome = 1), 0), 0::numeric,
       count(*) FILTER (WHERE outcome = 1), count(*) FILTER (WHERE outcome <> 1)
  FROM keys_decision WHERE window_start >= %(since)s AND {OF_BUCKET} GROUP BY 1, 2, 3, 4, 5, 6
UNION ALL
SELECT account_id, subject_kind, subject_id, 0, start, "end", 0, sum(amount), 0, 0
  FROM keys_adjustment WHERE start >= %(since)s AND {OF_BUCKET} GROUP BY 1, 2, 3, 4, 5, 6
"""  # noqa: S608  # constants of this module alone
# Each names what differs, the ledger's sums, and the same reckoned from the decisions; at most 100 differences.
WINDOWS_AGAINST_EVENTS = f"""
WITH kept AS (
  SELECT account_id, subject_kind, subject_id, key_id, start, "end",
         units_allowed, units_adjusted, calls_allowed, calls_denied
    FROM keys_usagewindow WHERE start >= %(since)s AND {OF_BUCKET}),
reckoned AS ({WINDOWS_RECKONED})
SELECT account_id, subject_kind || subject_id, key_id, start, units, adjusted, allowed, denied,
       r.units_2, r.adjusted_2, r.allowed_2, r.denied_2
  FROM kept AS k (account_id, subject_kind, subject_id, key_id, start, "end", units, adjusted, allowed, denied)
  FULL JOIN reckoned AS r (account_id, subject_kind, subject_id, key_id, start, "end",
                           units_2, adjusted_2, allowed_2, denied_2)
 USING (account_id, subject_kind, subject_id, key_id, start, "end")
 WHERE (units, adjusted, allowed, denied) IS DISTINCT FROM (units_2, adjusted_2, allowed_2, denied_2) LIMIT 100
"""  # noqa: S608  # constants of this module alone
HOURS_AGAINST_DECISIONS = f"""
WITH kept AS (
  SELECT account_id, key_id, user_id, plan_id, hour, units_allowed, calls_allowed, calls_denied
    FROM keys_usagehour WHERE hour >= %(since)s AND {OF_BUCKET}),
reckoned AS (
  SELECT account_id, api_key_id, coalesce(user_id, 0), coalesce(plan_id, 0), date_trunc('hour', at, 'UTC'), {SUMS}
    FROM keys_decision WHERE at >= %(since)s AND {OF_BUCKET} GROUP BY 1, 2, 3, 4, 5)
SELECT account_id, 'hour', key_id, hour, units, allowed, denied, units_2, allowed_2, denied_2
  FROM kept AS k (account_id, key_id, user_id, plan_id, hour, units, allowed, denied)
  FULL JOIN reckoned AS r (account_id, key_id, user_id, plan_id, hour, units_2, allowed_2, denied_2)
 USING (account_id, key_id, user_id, plan_id, hour)
 WHERE (units, allowed, denied) IS DISTINCT FROM (units_2, allowed_2, denied_2) LIMIT 100
"""  # noqa: S608  # constants of this module alone
CALLS_AGAINST_DECISIONS = f"""
WITH kept AS (
  SELECT account_id, access_key_id, plan_id, start, calls_allowed, calls_denied FROM keys_callcount
   WHERE grain = 15 AND start >= %(since)s AND bucket = %(bucket)s),
reckoned AS ({RECKONED})
SELECT account_id, 'quarter hour of access key ' || access_key_id || ', plan ' || plan_id, 0, start,
       k.calls_allowed, k.calls_denied, r.calls_allowed, r.calls_denied
  FROM kept AS k FULL JOIN reckoned AS r USING (account_id, access_key_id, plan_id, start)
 WHERE (k.calls_allowed, k.calls_denied) IS DISTINCT FROM (r.calls_allowed, r.calls_denied) LIMIT 100
"""  # noqa: S608  # constants alone


class CountedWindow(NamedTuple):
    """The identity of a counter."""

    account_id: int
    subject: Subject
    start_ms: int
    end_ms: int


@dataclass(frozen=True, slots=True)
class Difference:
    """`expected` is what the ledger says."""

    where: str
    expected: object
    found: object

    def __str__(self) -> str:
        return f"{self.where}: {self.found} instead of {self.expected}"


@dataclass(slots=True)
class LedgerReport:
    counters: int = 0
    dead_events: int = 0
    differences: list[Difference] = field(default_factory=list)

    @property
    def is_clean(self) -> bool:
        return not self.differences


def check_ledger(buckets: Iterable[int] = range(BUCKETS)) -> LedgerReport:
    """Cost: reads every counter, and every kept decision once. Drains of a bucket wait while it is checked."""
    report = LedgerReport(dead_events=DeadEvent.objects.count())
    for number in buckets:
        bucket = Bucket(number)
        while drain_bucket(bucket) == BATCH:
            pass  # so that few undrained events are read under the lock
        with transaction.atomic():
            position = StreamPosition.objects.select_for_update().get(bucket=bucket)
            _check_counters(bucket, position, report)
            _check_sums(bucket, report)
    return report


def _check_counters(bucket: Bucket, position: StreamPosition, report: LedgerReport) -> None:
    dead = _units(_dead_events(bucket))
    for names in _chunks(client().scan_iter(match=f"{{b{bucket:x}}}:*:c:*", count=COUNTERS_AT_ONCE)):
        with client().pipeline(transaction=True) as pipeline:
            pipeline.xrange(stream_name(bucket), min=f"({position.last_id}")
            pipeline.hget(head_name(bucket), "life")
            for name in names:
                pipeline.hmget(name, ["life", "used"])
            entries, life, *counters = pipeline.execute()
        undrained = _units(parse_entry(bucket, stream_id, fields) for stream_id, fields in entries)
        for name, (counter_life, used) in zip(names, counters, strict=True):
            if used is None or counter_life != life:
                continue  # it expired, or is of a former life and will be made again from the ledger
            window = _window_of(name)
            expected = _filed_units(window) + undrained[window] + dead[window]
            report.counters += 1
            if int(used) != expected:
                report.differences.append(Difference(f"counter {name}", expected, int(used)))


def _check_sums(bucket: Bucket, report: LedgerReport) -> None:
    since = DECISIONS.kept_since()
    if since is None:
        return
    with connection.cursor() as cursor:
        for statement, names in (
            (WINDOWS_AGAINST_EVENTS, "units, adjusted, allowed, denied"),
            (HOURS_AGAINST_DECISIONS, "units, allowed, denied"),
            (CALLS_AGAINST_DECISIONS, "allowed, denied"),
        ):
            cursor.execute(statement, {"since": since, "bucket": bucket, "grain": Grain.QUARTER.value})
            for account_id, subject, key_id, start, *sums in cursor.fetchall():
                where = f"account {account_id}, {subject}, key {key_id}, from {start:%Y-%m-%d %H:%M}"
                middle = len(sums) // 2
                report.differences.append(Difference(f"{where} ({names})", sums[middle:], sums[:middle]))


def _filed_units(window: CountedWindow) -> int:
    rows = UsageWindow.objects.filter(
        account_id=window.account_id,
        subject_kind=window.subject.kind,
        subject_id=window.subject.id,
        start=from_ms(window.start_ms),
        end=from_ms(window.end_ms),
    ).values_list("units_allowed", "units_adjusted")
    return sum(allowed + adjusted for allowed, adjusted in rows)


def _units(events: Iterable[Event | AdjustmentEvent]) -> Counter[CountedWindow]:
    units: Counter[CountedWindow] = Counter()
    for event in events:
        if spent := event.spent:
            window = CountedWindow(event.account_id, spent.subject, to_ms(spent.start), to_ms(spent.end))
            units[window] += event.units
    return units


def _window_of(counter_name: str) -> CountedWindow:
    _, account_id, _, subject, start_ms, end_ms = counter_name.rsplit(":", 5)
    return CountedWindow(int(account_id), Subject.parse(subject), int(start_ms), int(end_ms))


def _dead_events(bucket: Bucket) -> Iterator[Event | AdjustmentEvent]:
    """Those that can be read: their units were spent, though the ledger could not take them."""
    for dead in DeadEvent.objects.filter(bucket=bucket):
        try:
            yield parse_entry(bucket, dead.stream_id, dead.fields)
        except (KeyError, ValueError):
            continue


def _chunks(names: Iterator[str]) -> Iterator[Sequence[str]]:
    while chunk := list(islice(names, COUNTERS_AT_ONCE)):
        yield chunk
