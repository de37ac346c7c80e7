"""The inbox's statements: which reports wait, who takes them, and what becomes of those that leave it."""

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Final, NamedTuple

from django.db import connection

from analytics.models import App, RejectedReport, ReportKind
from analytics.observations import Report
from analytics.reports.cleaning import clean
from analytics.rollup.columns import columns

CLAIM_REPORTS: Final = 200
CLAIM_BYTES: Final = 16 * 1024 * 1024
KEPT_OF_BODY: Final = 64 * 1024
EXPLANATION_LENGTH: Final = 1_000
REJECTED_KEPT: Final = 1_000

# One look into the index for each app that has reports, however many those are.
WAITING = """
WITH RECURSIVE waiting (app_id, id) AS (
    (SELECT app_id, id FROM analytics_inboxreport ORDER BY app_id, id LIMIT 1)
  UNION ALL
    SELECT next.app_id, next.id
      FROM waiting, LATERAL (SELECT app_id, id FROM analytics_inboxreport AS i WHERE i.app_id > waiting.app_id
                              ORDER BY app_id, id LIMIT 1) AS next)
SELECT app_id FROM waiting ORDER BY id
"""
# The oldest; and if it is fresh, other fresh ones of the next two hundred with it, up to so many bytes.
CLAIM = """
WITH oldest AS (
       SELECT id, attempts, octet_length(body) AS bytes FROM analytics_inboxreport
        WHERE app_id = %(app)s ORDER BY id LIMIT %(reports)s),
     ranked AS (
       SELECT id, attempts, row_number() OVER o AS place, first_value(attempts) OVER o AS first_attempts,
              sum(bytes) FILTER (WHERE attempts = 0) OVER o AS total
         FROM oldest WINDOW o AS (ORDER BY id)),
     chosen AS (
       SELECT id FROM ranked
        WHERE place = 1 OR (first_attempts = 0 AND attempts = 0 AND total <= %(bytes)s))
UPDATE analytics_inboxreport AS report SET attempts = report.attempts + 1
  FROM chosen WHERE report.id = chosen.id
RETURNING report.id, kind, environment, message_id, is_json, received_at, body, report.attempts
"""
UNCLAIM = "UPDATE analytics_inboxreport SET attempts = attempts - 1 WHERE id = ANY(%s)"
REMOVE = "DELETE FROM analytics_inboxreport WHERE id = ANY(%s)"
IDENTIFY = """
INSERT INTO analytics_reportidentity (app_id, identity, counted_at)
SELECT %s, decode(hex, 'hex'), %s FROM unnest(%s::text[]) AS hex
ON CONFLICT (app_id, identity) DO NOTHING RETURNING identity
"""
DROP = """
INSERT INTO analytics_droppeditems AS kept (app_id, kind, reason, hour, items)
SELECT %s, * FROM unnest(%s::smallint[], %s::text[], %s::timestamptz[], %s::bigint[])
ON CONFLICT (app_id, hour, kind, reason) DO UPDATE SET items = kept.items + excluded.items
"""


FORGET = """
DELETE FROM analytics_rejectedreport WHERE app_id = %s AND id <= (
  SELECT id FROM analytics_rejectedreport WHERE app_id = %s ORDER BY id DESC OFFSET %s LIMIT 1)
"""


class Claimed(NamedTuple):
    """A report in work, and the how manieth attempt this is."""

    report: Report
    attempt: int


class Refused(NamedTuple):
    report: Report
    reason: str
    explanation: str


class Dropped(NamedTuple):
    """Where items that were left out are counted: by the clock hour of receipt."""

    kind: ReportKind
    reason: str
    hour: datetime


class TakenByAnother(Exception):
    """Reports were in work that are in the inbox no more. What was filed of them here is to be rolled back."""


def waiting_apps() -> list[int]:
    """Ids of those that have reports; whose oldest waits longest comes first."""
    with connection.cursor() as cursor:
        cursor.execute(WAITING)
        return [app_id for (app_id,) in cursor.fetchall()]


def claim(app_id: int) -> list[Claimed]:
    """The app's oldest reports, in order, their attempts raised. The caller is the one at work on them (locking).

    What was attempted before comes alone: a report that ends workers takes no other with it.
    """
    with connection.cursor() as cursor:
        cursor.execute(CLAIM, {"app": app_id, "reports": CLAIM_REPORTS, "bytes": CLAIM_BYTES})
        return [_claimed(app_id, *row) for row in sorted(cursor.fetchall())]


def unclaim(claimed: Iterable[Claimed]) -> None:
    """Those that are still there: that attempt was not theirs to fail."""
    with connection.cursor() as cursor:
        cursor.execute(UNCLAIM, [[each.report.id for each in claimed]])


def identify(app_id: int, identities: Iterable[bytes], *, now: datetime) -> set[bytes]:
    """Notes them as counted; those that were not yet."""
    with connection.cursor() as cursor:
        cursor.execute(IDENTIFY, [app_id, now, sorted(identity.hex() for identity in identities)])
        return {bytes(identity) for (identity,) in cursor.fetchall()}


def reject(app: App, refused: Sequence[Refused]) -> None:
    """Of each app the newest thousand are kept: who sends nothing else fills no disk."""
    if not refused:
        return
    RejectedReport.objects.bulk_create(
        RejectedReport(
            app=app,
            kind=report.kind,
            environment=report.environment,
            reason=reason,
            explanation=clean(explanation, EXPLANATION_LENGTH),
            size_bytes=len(report.body),
            body=report.body[:KEPT_OF_BODY],
            received_at=report.received_at,
        )
        for report, reason, explanation in refused
    )
    with connection.cursor() as cursor:
        cursor.execute(FORGET, [app.pk, app.pk, REJECTED_KEPT])


def count_dropped(app_id: int, dropped: Counter[Dropped]) -> None:
    rows = sorted((of.kind.value, of.reason, of.hour, items) for of, items in dropped.items() if items)
    if rows:
        with connection.cursor() as cursor:
            cursor.execute(DROP, [app_id, *columns(rows)])


def remove(reports: Sequence[Report]) -> None:
    """Errors: TakenByAnother."""
    with connection.cursor() as cursor:
        cursor.execute(REMOVE, [[report.id for report in reports]])
        if cursor.rowcount != len(reports):
            raise TakenByAnother(f"{len(reports) - cursor.rowcount} of {len(reports)} reports")


def _claimed(
    app_id: int,
    pk: int,
    kind: int,
    environment: str,
    message_id: str,
    is_json: bool,
    received_at: datetime,
    body: bytes,
    attempts: int,
) -> Claimed:
    report = Report(pk, app_id, ReportKind(kind), environment, message_id, is_json, received_at, bytes(body))
    return Claimed(report, attempts)
