"""An installation that never was: users, keys, usage, decisions and changes in any number, made by PostgreSQL itself.

Half of all belongs to the first account. Secrets follow from a seed that nobody keeps: only who gave it knows them.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from django.db import connection, transaction

from accounts import services as accounts
from accounts.actors import Actor
from accounts.models import User
from accounts.secrets import Bucket
from keys.ledger.calls import rebuild_calls
from keys.partitions import DECISIONS
from plans import services as plans
from plans.models import Plan

BATCH_USERS: Final = 2_000
BATCH_ROWS: Final = 50_000
PLANS: Final = (("Free", 1_000, "month"), ("Silver", 50_000, "month"), ("Gold", -1, "month"))
Progress = Callable[[int], None]
Told = dict[str, int | str | datetime | list[int]]

# A user's number says which account and plan it has.
USERS = """
WITH made AS (
    INSERT INTO accounts_user (account_id, name, email, is_disabled, created_at, updated_at)
    SELECT (%(accounts)s::bigint[])[place], 'Customer ' || substr(md5(n::text), 1, 8),
           'customer' || n || '.' || %(run)s || '@example.com', n %% 500 = 0, %(now)s, %(now)s
      FROM (SELECT n, CASE WHEN n %% 2 = 0 THEN 1 ELSE 1 + n %% %(account_count)s END AS place
              FROM generate_series(%(first)s::bigint, %(last)s::bigint) AS n) AS numbered
    RETURNING id, account_id
)
INSERT INTO plans_subscription (account_id, user_id, plan_id, since)
SELECT made.account_id, made.id, (SELECT array_agg(id ORDER BY id) FROM plans_plan
                                   WHERE account_id = made.account_id)[1 + made.id %% %(plan_count)s], %(now)s
  FROM made
"""
KEYS = """
WITH made AS (
    INSERT INTO keys_apikey (account_id, public_id, name, user_id, status, expires_at, last_used_at, created_at,
                             updated_at)
    SELECT u.account_id, 'key_' || substr(md5(%(seed)s || ' key ' || u.id || ' ' || n), 1, 24),
           CASE n %% 3 WHEN 0 THEN 'production' WHEN 1 THEN 'staging' ELSE 'laptop' END || ' ' || n, u.id,
           CASE WHEN (u.id + n) %% 200 = 0 THEN 'inactive' ELSE 'active' END,
           CASE WHEN (u.id + n) %% 50 = 0 THEN %(now)s::timestamptz + (u.id %% 90) * interval '1 day' END,
           CASE WHEN n %% 4 <> 0 THEN %(now)s::timestamptz - (u.id %% 500) * interval '1 hour' END, %(now)s, %(now)s
      FROM accounts_user AS u, generate_series(1, %(keys)s) AS n
     WHERE u.id BETWEEN %(first)s AND %(last)s AND u.email LIKE '%%.' || %(run)s || '@example.com'
    RETURNING id, account_id, user_id
), known AS (
    INSERT INTO keys_apikeysecret (account_id, api_key_id, digest, prefix, last4, created_at)
    SELECT account_id, id, sha256(convert_to(secret, 'UTF8')), left(secret, 12), right(secret, 4), %(now)s
      FROM (SELECT id, account_id, 'lk_user_' || md5(%(seed)s || ' ' || id) AS secret FROM made) AS issued
)
INSERT INTO keys_usagewindow (account_id, subject_kind, subject_id, key_id, start, "end", units_allowed, units_adjusted,
                              calls_allowed, calls_denied)
SELECT account_id, 'u', user_id, id, start, start + interval '1 month', used, 0, used, used / 50
  FROM (SELECT made.*, date_trunc('month', %(now)s::timestamptz, 'UTC') - back * interval '1 month' AS start,
               (id * 7919 + back) %% 900 AS used
          FROM made, generate_series(0, %(months)s - 1) AS back) AS windows
"""
# As keys.events.decision_id has it: 48 bits of ms, the bucket, the sequence number.
DECISIONS_OF_A_DAY = """
INSERT INTO keys_decision (id, at, account_id, access_key_id, api_key_id, user_id, subject_kind, outcome, cost, method,
                           endpoint, ip)
SELECT (lpad(to_hex(ms), 12, '0') || '8' || to_hex(%(bucket)s) || '008' || lpad(to_hex(n), 15, '0'))::uuid,
       timestamptz 'epoch' + ms * interval '1 millisecond', %(account)s, 0,
       (%(keys)s::bigint[])[1 + n %% %(key_count)s], (%(users)s::bigint[])[1 + n %% %(key_count)s], '',
       CASE WHEN n %% 40 = 0 THEN 2 WHEN n %% 1000 = 7 THEN 3 ELSE 1 END, 1, 'GET', '/orders/' || n %% 300,
       ('203.0.113.' || n %% 250)::inet
  FROM (SELECT n, (extract(epoch FROM %(day)s::timestamptz) * 1000)::bigint + n * 86400000 / %(number)s AS ms
          FROM generate_series(0::bigint, %(number)s::bigint - 1) AS n) AS numbered
"""
CHANGES = """
INSERT INTO accounts_auditentry (at, account_id, actor_kind, actor_name, address, action, row_type, row_id, row_name,
                                 before, after, reason)
SELECT %(now)s::timestamptz - n * interval '20 seconds', (%(accounts)s::bigint[])[1 + n %% %(account_count)s],
       CASE WHEN n %% 5 = 0 THEN 'staff' ELSE 'access_key' END,
       CASE WHEN n %% 5 = 0 THEN 'staff' || n %% 7 ELSE 'backend (lk_' || n %% 50 || ')' END, '203.0.113.9',
       CASE n %% 4 WHEN 0 THEN 'user changed' WHEN 1 THEN 'API key created' ELSE 'API key changed' END,
       CASE n %% 4 WHEN 0 THEN 'accounts.User' ELSE 'keys.ApiKey' END, n / 3, 'row ' || n / 3,
       '{"name": "before"}', '{"name": "after"}', ''
  FROM generate_series(%(first)s::bigint, %(last)s::bigint) AS n
"""


@dataclass(frozen=True, slots=True)
class Installation:
    """`run` tells this one's users from others'."""

    run: str
    seed: str
    account_ids: list[int]
    buckets: list[int]


def found(*, run: str, seed: str, number: int, by: Actor) -> Installation:
    """Accounts with three plans each, made by the services."""
    made = [accounts.create_account(f"Simulated {run} {place}", by=by) for place in range(number)]
    for account in made:
        for name, limit, period in PLANS:
            plans.create_plan(account, by=by, name=name, max_requests=limit, request_period=period)
    return Installation(run, seed, [account.pk for account in made], [account.bucket for account in made])


def write_users(of: Installation, *, number: int, now: datetime, progress: Progress) -> None:
    """On one of their account's plans each."""
    told = _told(of, now) | {"plan_count": Plan.objects.filter(account_id=of.account_ids[0]).count()}
    for first, last in _batches(0, number - 1, BATCH_ROWS):
        _run(USERS, told | {"first": first, "last": last})
        progress(last - first + 1)


def write_keys(of: Installation, *, per_user: int, months: int, now: datetime, progress: Progress) -> None:
    """So many keys a user, each with its secret's digest and its use of this month and those before."""
    theirs = User.objects.filter(email__endswith=f".{of.run}@example.com").order_by("id")
    ids = list(theirs.values_list("id", flat=True))
    for start in range(0, len(ids), BATCH_USERS):
        batch = ids[start : start + BATCH_USERS]
        told: Told = {"seed": of.seed, "keys": per_user, "months": months, "first": batch[0], "last": batch[-1]}
        _run(KEYS, _told(of, now) | told)
        progress(len(batch) * per_user)


def write_decisions(of: Installation, *, number: int, days: list[datetime], progress: Progress) -> None:
    """Of the first account's newest keys; a fortieth over quota. They are folded into traffic like any others."""
    keys, users = _newest_keys(of.account_ids[0])
    for day in days if keys else ():
        DECISIONS.make(DECISIONS.lacking(day, day))
        told: Told = {
            "bucket": of.buckets[0], "account": of.account_ids[0], "keys": keys, "users": users,
            "key_count": len(keys), "day": day, "number": max(1, number // len(days)),
        }  # fmt: skip
        _run(DECISIONS_OF_A_DAY, told)
        progress(1)
    if keys and days:
        with transaction.atomic(), connection.cursor() as cursor:
            rebuild_calls(cursor, Bucket(of.buckets[0]), since=min(days), minutes_since=max(days))


def write_changes(of: Installation, *, number: int, now: datetime, progress: Progress) -> None:
    for first, last in _batches(0, number - 1, BATCH_ROWS):
        _run(CHANGES, _told(of, now) | {"first": first, "last": last})
        progress(last - first + 1)


def analyze() -> None:
    """So that PostgreSQL plans by what there is now, not by what there was."""
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")


def _newest_keys(account_id: int) -> tuple[list[int], list[int]]:
    with connection.cursor() as cursor:
        newest = "SELECT id, user_id FROM keys_apikey WHERE account_id = %s ORDER BY id DESC LIMIT 1000"
        cursor.execute(newest, [account_id])
        rows = cursor.fetchall()
    return [key for key, _ in rows], [user for _, user in rows]


def _told(of: Installation, now: datetime) -> Told:
    return {"run": of.run, "accounts": of.account_ids, "account_count": len(of.account_ids), "now": now}


def _batches(first: int, last: int, size: int) -> Iterator[tuple[int, int]]:
    for start in range(first, last + 1, size):
        yield start, min(start + size - 1, last)


def _run(statement: str, told: Told) -> None:
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(statement, told)
