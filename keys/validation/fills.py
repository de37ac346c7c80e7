"""What a fill reads: all that decide.lua may ask for about one call, in one SELECT on the primary."""

from datetime import datetime
from typing import Any

import msgspec
from psycopg import AsyncConnection
from psycopg.rows import TupleRow, namedtuple_row
from psycopg_pool import AsyncConnectionPool

from accounts.signals import access_key_name, user_name
from keys.events import from_ms, to_ms
from keys.invalidation import api_key_name
from keys.models import ApiKeyStatus
from keys.subjects import Subject, subject_of_key, subject_of_user
from plans.signals import plan_name
from plans.windows import Period, following, window_at

Pool = AsyncConnectionPool[AsyncConnection[TupleRow]]
Snapshot = list[Any] | bool

# Columns of the access key `a`, and of all that a call by it may ask for. The windows are those of all four kinds that
# the key and its user can be counted in; Python knows which of them counts.
_COLUMNS = """
SELECT a.id AS access_key_id, a.account_id, a.requests_per_minute, a.analytics_requests_per_minute,
       a.expires_at AS access_expires_at, a.scopes,
       k.id AS key_id, k.user_id, k.plan_id AS key_plan_id, k.status, k.expires_at AS key_expires_at,
       s.expires_at AS secret_expires_at,
       u.is_disabled, b.plan_id AS user_plan_id, b.custom_start,
       p.id AS plan_id, p.name AS plan_name, p.max_requests, p.request_period,
       w.windows
"""
_JOINS = """
  LEFT JOIN keys_apikeysecret s ON s.account_id = a.account_id AND s.digest = %(api_key)s
  LEFT JOIN keys_apikey k ON k.id = s.api_key_id AND k.deleted_at IS NULL
  LEFT JOIN accounts_user u ON u.id = k.user_id
  LEFT JOIN plans_subscription b ON b.user_id = u.id
  LEFT JOIN plans_plan p ON p.id = COALESCE(k.plan_id, b.plan_id)
  LEFT JOIN LATERAL (
       SELECT jsonb_agg(jsonb_build_array(subject_kind || subject_id, start, "end", units)) AS windows
         FROM (SELECT subject_kind, subject_id, start, "end", sum(units_allowed + units_adjusted)::bigint AS units
                 FROM keys_usagewindow
                WHERE account_id = a.account_id AND "end" > %(now)s
                  AND (subject_kind, subject_id) IN (('k', k.id), ('fk', k.id), ('u', u.id), ('fu', u.id))
                GROUP BY subject_kind, subject_id, start, "end") AS spent) w ON true
"""
SELECT = _COLUMNS + "FROM accounts_accesskey a" + _JOINS + "WHERE a.digest = %(access_key)s AND a.revoked_at IS NULL"
# The same by whichever access key of an account: one without budget, end or scopes, under no digest.
SELECT_IN_ACCOUNT = (
    _COLUMNS
    + """FROM (SELECT 0::bigint AS id, %(account)s::bigint AS account_id, NULL::bigint AS requests_per_minute,
           NULL::bigint AS analytics_requests_per_minute, NULL::timestamptz AS expires_at, '{}'::text[] AS scopes) a"""
    + _JOINS
)


class Fill(msgspec.Struct, frozen=True):
    """As decide.lua reads it (JSON). `counter` names the counter that `used` is for, '' where there is none."""

    snapshots: dict[str, Snapshot]
    counter: str = ""
    used: int = 0


async def read_fill(pool: Pool, *, access_key: bytes, api_key: bytes | None, now_ms: int) -> Fill:
    """Of two digests (without an api key: what admitting needs). One SELECT."""
    now = from_ms(now_ms)
    async with pool.connection() as connection, connection.cursor(row_factory=namedtuple_row) as cursor:
        found = await cursor.execute(SELECT, {"access_key": access_key, "api_key": api_key, "now": now})
        row: Any = await found.fetchone()
    return fill_of_row(row, access_key=access_key, api_key=api_key, now=now)


def fill_of_row(row: Any, *, access_key: bytes, api_key: bytes | None, now: datetime) -> Fill:
    """Of what one of the SELECTs found, its columns as attributes; None = no such access key."""
    if row is None:
        return Fill({access_key_name(access_key): False})
    access = {access_key_name(access_key): _access_key(row)}
    if api_key is None:
        return Fill(access)
    key_name = api_key_name(row.account_id, api_key)
    if row.key_id is None:
        return Fill(access | {key_name: False})
    return _fill_of_key(row, access, key_name, now)


def _fill_of_key(row: Any, access: dict[str, Snapshot], key_name: str, now: datetime) -> Fill:
    subject = subject_of_key(row.key_id, plan_id=row.key_plan_id, user_id=row.user_id, user_plan_id=row.user_plan_id)
    anchor = None if row.key_plan_id else row.custom_start if row.user_plan_id else None
    period = Period(row.request_period) if row.plan_id else Period.MONTH
    window = window_at(now, period=period, anchor=anchor)
    successor = following(window, period=period, anchor=anchor)
    spent = _units_by_window(row.windows)
    made_for = f"{period.value}{_anchor(anchor)}"
    start, end, next_end = to_ms(window.start), to_ms(window.end), to_ms(successor.end)
    next_used = spent.get((str(subject), end, next_end), 0)
    snapshots = access | {
        key_name: _api_key(row, subject),
        f"{row.account_id}:w:{subject}": [made_for, start, end, next_end, next_used],
    }
    if row.user_id:
        snapshots[user_name(row.account_id, row.user_id)] = _user(row)
    if row.plan_id:
        snapshots[plan_name(row.account_id, row.plan_id)] = [
            row.max_requests,
            row.request_period,
            row.plan_name,
        ]
    return Fill(snapshots, f"{subject}:{start}:{end}", spent.get((str(subject), start, end), 0))


def _access_key(row: Any) -> Snapshot:
    budgets = [-1 if limit is None else limit for limit in (row.requests_per_minute, row.analytics_requests_per_minute)]
    expires, scopes = _moment(row.access_expires_at), ",".join(row.scopes)
    return [row.access_key_id, row.account_id, budgets[0], expires, scopes, budgets[1]]


def _api_key(row: Any, subject: Subject) -> Snapshot:
    active = row.status == ApiKeyStatus.ACTIVE
    expires = (_moment(row.key_expires_at), _moment(row.secret_expires_at))
    return [row.key_id, row.user_id or 0, row.key_plan_id or 0, active, *expires, str(subject)]


def _user(row: Any) -> Snapshot:
    subject = subject_of_user(row.user_id, plan_id=row.user_plan_id)
    anchor = _anchor(row.custom_start) if row.user_plan_id else ""
    return [row.is_disabled, row.user_plan_id or 0, anchor, str(subject)]


def _units_by_window(windows: list[tuple[str, str, str, int]] | None) -> dict[tuple[str, int, int], int]:
    return {
        (subject, to_ms(datetime.fromisoformat(start)), to_ms(datetime.fromisoformat(end))): units
        for subject, start, end, units in windows or ()
    }


def _moment(moment: datetime | None) -> int:
    """Unix milliseconds; 0 = never."""
    return to_ms(moment) if moment else 0


def _anchor(anchor: datetime | None) -> str:
    return str(to_ms(anchor)) if anchor else ""
