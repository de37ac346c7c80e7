"""The ledger's statements: decisions by COPY, sums by upsert, in the caller's transaction."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import NamedTuple

from django.db.backends.utils import CursorWrapper

from keys.events import AdjustmentEvent, Event, Spent, from_ms
from keys.models import Adjustment

COPY_DECISIONS = """
COPY keys_decision (id, at, account_id, access_key_id, api_key_id, user_id, plan_id, subject_kind, subject_id,
                    window_start, window_end, outcome, cost, method, endpoint, ip) FROM STDIN
"""
UPSERT_WINDOWS = """
WITH given AS (
  SELECT * FROM unnest(%s::bigint[], %s::text[], %s::bigint[], %s::bigint[], %s::timestamptz[], %s::timestamptz[],
                       %s::bigint[], %s::bigint[], %s::bigint[])
    AS g (account_id, kind, subject_id, key_id, start, "end", units, allowed, denied))
INSERT INTO keys_usagewindow AS kept (account_id, subject_kind, subject_id, key_id, start, "end",
                                      units_allowed, units_adjusted, calls_allowed, calls_denied)
SELECT account_id, kind, subject_id, key_id, start, "end", units, 0, allowed, denied FROM given
ON CONFLICT (account_id, subject_kind, subject_id, "end", start, key_id) DO UPDATE
   SET units_allowed = kept.units_allowed + excluded.units_allowed,
       calls_allowed = kept.calls_allowed + excluded.calls_allowed,
       calls_denied = kept.calls_denied + excluded.calls_denied
"""
UPSERT_HOURS = """
WITH given AS (
  SELECT * FROM unnest(%s::bigint[], %s::bigint[], %s::bigint[], %s::bigint[], %s::timestamptz[],
                       %s::bigint[], %s::bigint[], %s::bigint[])
    AS g (account_id, key_id, user_id, plan_id, hour, units, allowed, denied))
INSERT INTO keys_usagehour AS kept (account_id, key_id, user_id, plan_id, hour,
                                    units_allowed, units_adjusted, calls_allowed, calls_denied)
SELECT account_id, key_id, user_id, plan_id, hour, units, 0, allowed, denied FROM given
ON CONFLICT (account_id, key_id, hour, user_id, plan_id) DO UPDATE
   SET units_allowed = kept.units_allowed + excluded.units_allowed,
       calls_allowed = kept.calls_allowed + excluded.calls_allowed,
       calls_denied = kept.calls_denied + excluded.calls_denied
"""
# An adjustment is no key's: it stands in the row of key 0.
ADJUST_WINDOW = """
INSERT INTO keys_usagewindow AS kept (account_id, subject_kind, subject_id, key_id, start, "end",
                                      units_allowed, units_adjusted, calls_allowed, calls_denied)
VALUES (%s, %s, %s, 0, %s, %s, 0, %s, 0, 0)
ON CONFLICT (account_id, subject_kind, subject_id, "end", start, key_id) DO UPDATE
   SET units_adjusted = kept.units_adjusted + excluded.units_adjusted
"""
# A row that somebody holds is skipped: "last used" may be late, and a drain must not wait for an editor.
TOUCH = """
WITH used AS (SELECT * FROM unnest(%s::bigint[], %s::timestamptz[]) AS u (id, at)),
     free AS (SELECT id FROM {table} WHERE id IN (SELECT id FROM used) FOR NO KEY UPDATE SKIP LOCKED)
UPDATE {table} AS t SET last_used_at = greatest(t.last_used_at, used.at)
  FROM used JOIN free USING (id) WHERE t.id = used.id
"""


HOUR_MS = 3_600_000


class WindowKey(NamedTuple):
    account_id: int
    subject_kind: str
    subject_id: int
    key_id: int
    start: datetime
    end: datetime


class HourKey(NamedTuple):
    account_id: int
    key_id: int
    user_id: int
    plan_id: int
    hour: datetime


@dataclass(slots=True)
class Sum:
    units_allowed: int = 0
    calls_allowed: int = 0
    calls_denied: int = 0

    def add(self, event: Event) -> None:
        if event.is_allowed:
            self.units_allowed += event.cost
            self.calls_allowed += 1
        else:
            self.calls_denied += 1

    @property
    def values(self) -> tuple[int, int, int]:
        return self.units_allowed, self.calls_allowed, self.calls_denied


def tally_windows(events: Iterable[Event]) -> dict[WindowKey, Sum]:
    """Sums by window and key of the events that touched a window."""
    sums: defaultdict[WindowKey, Sum] = defaultdict(Sum)
    for event in events:
        if spent := event.spent:
            kind, subject_id = spent.subject.kind.value, spent.subject.id
            key = WindowKey(event.account_id, kind, subject_id, event.api_key_id, spent.start, spent.end)
            sums[key].add(event)
    return sums


def tally_hours(events: Iterable[Event]) -> dict[HourKey, Sum]:
    """Sums by clock hour, key, user and plan of all events."""
    sums: defaultdict[HourKey, Sum] = defaultdict(Sum)
    for event in events:
        hour = _hour(event.stream_id.ms // HOUR_MS)
        key = HourKey(event.account_id, event.api_key_id, event.user_id or 0, event.plan_id or 0, hour)
        sums[key].add(event)
    return sums


def copy_decisions(cursor: CursorWrapper, events: Iterable[Event]) -> None:
    with cursor.copy(COPY_DECISIONS) as copy:
        for event in events:
            copy.write_row(_decision_row(event))


def add_to_windows(cursor: CursorWrapper, sums: dict[WindowKey, Sum]) -> None:
    _upsert(cursor, UPSERT_WINDOWS, sums)


def add_to_hours(cursor: CursorWrapper, sums: dict[HourKey, Sum]) -> None:
    _upsert(cursor, UPSERT_HOURS, sums)


def add_adjustments(cursor: CursorWrapper, events: Iterable[AdjustmentEvent]) -> None:
    """Rows of their own, and what they change in the windows. One statement each: they are few."""
    rows = [adjustment_row(event) for event in events]
    Adjustment.objects.bulk_create(rows)
    for row in rows:
        window = (row.account_id, row.subject_kind, row.subject_id, row.start, row.end)
        cursor.execute(ADJUST_WINDOW, [*window, row.amount])


def adjustment_row(event: AdjustmentEvent) -> Adjustment:
    """What the ledger will hold of it, or would."""
    subject = event.spent.subject
    return Adjustment(
        id=event.id,
        at=event.at,
        account_id=event.account_id,
        subject_kind=subject.kind.value,
        subject_id=subject.id,
        start=event.spent.start,
        end=event.spent.end,
        kind=event.kind.value,
        amount=event.units,
        plan_id=event.plan_id,
        actor_kind=event.actor_kind,
        actor_name=event.actor_name,
        reason=event.reason,
        request_id=event.request_id,
    )


def touch_last_used(cursor: CursorWrapper, events: Iterable[Event]) -> None:
    """`last_used_at` of the API keys and access keys of these events (in the stream's order)."""
    api_keys: dict[int, datetime] = {}
    access_keys: dict[int, datetime] = {}
    for event in events:
        api_keys[event.api_key_id] = access_keys[event.access_key_id] = event.at
    for table, used in (("keys_apikey", api_keys), ("accounts_accesskey", access_keys)):
        cursor.execute(TOUCH.format(table=table), [_array(used), _array(used.values())])


def _upsert(cursor: CursorWrapper, statement: str, sums: dict[WindowKey, Sum] | dict[HourKey, Sum]) -> None:
    """Rows in one order everywhere, so that two transactions never wait for each other in a circle."""
    if not sums:
        return
    rows = sorted((*key, *total.values) for key, total in sums.items())
    cursor.execute(statement, [_array(column) for column in zip(*rows, strict=True)])


def _array(values: Iterable[int | str | datetime]) -> str:
    """An array's text. Psycopg's own would look for quotes in each value; numbers, letters and instants have none."""
    return "{" + ",".join([each.isoformat() if isinstance(each, datetime) else str(each) for each in values]) + "}"


@lru_cache(maxsize=64)
def _hour(number: int) -> datetime:
    return from_ms(number * HOUR_MS)


@lru_cache(maxsize=16_384)
def _window_columns(spent: Spent | None) -> tuple[str, int | None, str | None, str | None]:
    if spent is None:
        return "", None, None, None
    return spent.subject.kind.value, spent.subject.id, spent.start.isoformat(), spent.end.isoformat()


def _decision_row(event: Event) -> tuple[int | str | None, ...]:
    """Instants and ids as text: psycopg writes text and numbers natively, all else one Python call a value."""
    return (
        event.id.hex,
        event.at.isoformat(),
        event.account_id,
        event.access_key_id,
        event.api_key_id,
        event.user_id,
        event.plan_id,
        *_window_columns(event.spent),
        event.outcome.value,
        event.cost,
        event.method,
        event.endpoint,
        event.ip,
    )
