"""From the inbox to the tables, exactly once: a report leaves the inbox in the transaction that counts it.

Kill it anywhere: what was not committed lies in the inbox as before, one attempt older; what was committed has its
identity on file. What failed once is tried alone, what failed three times goes to RejectedReport.
"""

import logging
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from typing import Final, NamedTuple

import msgspec
import psycopg
from django.conf import settings
from django.db import Error, connection, transaction

from analytics.models import App
from analytics.observations import BadReport, Observed, Parsed, Report
from analytics.reports.cleaning import slug
from analytics.reports.decoding import decoded
from analytics.rollup import inbox
from analytics.rollup.filing import file_each
from analytics.rollup.inbox import Claimed, Dropped, Refused
from analytics.rollup.locking import claiming
from analytics.rollup.partitioning import making_partitions
from analytics.rollup.placing import ENVIRONMENT_LIMIT

Parse = Callable[[Report], Parsed]
Clock = Callable[[], datetime]
Progress = Callable[[int], object]

ATTEMPTS_MAX: Final = 3
FAILED: Final = "failed"
# Decoded bytes that are parsed and filed together: what a batch needs of memory is bounded by it, or by one report.
BATCH_BYTES: Final = 16 * 1024 * 1024
# By SQLSTATE's first two: connection, transaction rolled back, resources, locks, shutdown, disk, a standby. None of
# these is the fault of what was filed.
TEMPORARY: Final = frozenset({"08", "25", "40", "53", "55", "57", "58"})
logger = logging.getLogger(__name__)


class Work(NamedTuple):
    """Reports that were taken, and those of them that left the inbox."""

    claimed: int
    done: int


class Understood(NamedTuple):
    report: Report
    parsed: Parsed


def ingest_reports(*, parse: Parse, now: Clock, for_s: float, progress: Progress | None = None) -> int:
    """Works on every app that has reports, in turn, until none is left or the time is up; how many left the inbox.

    `progress` is told how many more did.
    """
    ends = time.monotonic() + for_s
    done, is_idle = 0, False
    while not is_idle:
        is_idle = True
        for app_id in inbox.waiting_apps():
            work = _ingest_app(app_id, parse, now)
            done += work.done
            if progress:
                progress(work.done)
            is_idle = is_idle and not work.claimed
            if time.monotonic() >= ends:
                return done
    return done


def _ingest_app(app_id: int, parse: Parse, now: Clock) -> Work:
    """One claim of an app's reports; none when another worker is at it."""
    with claiming(app_id) as is_ours:
        claimed = inbox.claim(app_id) if is_ours else []
        done = 0
        try:
            for batch in _batches(claimed, parse):
                done += _file(app_id, batch, now)
        except Exception as error:
            if _is_temporary(error):
                connection.close_if_unusable_or_obsolete()
                inbox.unclaim(claimed)
                raise
            logger.exception("reports of app %s were not filed; each will be tried alone", app_id)
        return Work(len(claimed), done)


def _batches(claimed: Sequence[Claimed], parse: Parse) -> Iterator[list[Understood | Refused]]:
    """Reports that are filed together, parsed only when it is their turn."""
    batch: list[Understood | Refused] = []
    size = 0
    for report, attempt in claimed:
        body = _decoded(report, attempt)
        if isinstance(body, Refused):
            batch.append(body)
            continue
        if batch and size + len(body) > BATCH_BYTES:
            yield batch
            batch, size = [], 0
        size += len(body)
        if read := _parsed(report, body, parse):
            batch.append(read)
    if batch:
        yield batch


def _decoded(report: Report, attempt: int) -> bytes | Refused:
    if attempt > ATTEMPTS_MAX:
        return Refused(report, FAILED, "Three attempts to file it ended in an error or with the worker: see its log.")
    try:
        return decoded(report.body)
    except BadReport as bad:
        return Refused(report, bad.reason, bad.explanation)


def _parsed(report: Report, body: bytes, parse: Parse) -> Understood | Refused | None:
    """None when the parser failed: the report stays where it is."""
    try:
        return Understood(report, parse(msgspec.structs.replace(report, body=body)))
    except BadReport as bad:
        return Refused(report, bad.reason, bad.explanation)
    except Exception:
        logger.exception("report %s of app %s was not parsed", report.id, report.app_id)
        return None


def _file(app_id: int, batch: Sequence[Understood | Refused], now: Clock) -> int:
    """How many reports left the inbox: all of the batch."""
    app = App.objects.get(pk=app_id)
    making_partitions(lambda: _file_once(app, batch, now()))
    return len(batch)


@transaction.atomic(durable=True)
def _file_once(app: App, batch: Sequence[Understood | Refused], now: datetime) -> None:
    understood = _seen_first(app, [each for each in batch if isinstance(each, Understood)], now)
    said = [(report, _with_environment(report, each)) for report, parsed in understood for each in parsed.observed]
    left_out = file_each(app, [each for _, each in said], now=now) if said else []
    homeless = _homeless(said, left_out)
    reasons = [(report, parsed.dropped) for report, parsed in understood]
    reasons += [(report, of_part) for (report, _), of_part in zip(said, left_out, strict=True)]
    dropped: Counter[Dropped] = Counter()
    for report, its in reasons:
        if report.id not in homeless:
            dropped += _dropped_of(report, its)
    inbox.count_dropped(app.pk, dropped)
    inbox.reject(app, [*(each for each in batch if isinstance(each, Refused)), *homeless.values()])
    inbox.remove([each.report for each in batch])


def _homeless(said: Sequence[tuple[Report, Observed]], left_out: Sequence[Counter[str]]) -> dict[int, Refused]:
    """By id, reports of which nothing is of an environment that the app has, or has room for."""
    parts = [(*part, ENVIRONMENT_LIMIT in reasons) for part, reasons in zip(said, left_out, strict=True)]
    housed = {report.id for report, _, is_beyond in parts if not is_beyond}
    most = settings.LIMITLY_APP_ENVIRONMENTS_MAX
    return {
        report.id: Refused(
            report,
            ENVIRONMENT_LIMIT,
            f"The app holds {most} environments (LIMITLY_APP_ENVIRONMENTS_MAX) and has no room for {of.environment!r}.",
        )
        for report, of, _ in parts
        if report.id not in housed
    }


def _seen_first(app: App, understood: Sequence[Understood], now: datetime) -> list[Understood]:
    """Of reports with the same identity the first, unless one was counted before."""
    by_identity = {each.parsed.identity: each for each in reversed(understood)}
    new = inbox.identify(app.pk, by_identity, now=now) if by_identity else set()
    return [each for each in understood if each.parsed.identity in new and by_identity[each.parsed.identity] is each]


def _with_environment(report: Report, said: Observed) -> Observed:
    """What a report does not name, its URL or header does."""
    return said if said.environment else msgspec.structs.replace(said, environment=slug(report.environment))


def _dropped_of(report: Report, reasons: Counter[str]) -> Counter[Dropped]:
    hour = report.received_at.replace(minute=0, second=0, microsecond=0)
    return Counter({Dropped(report.kind, reason, hour): items for reason, items in reasons.items()})


def _is_temporary(error: Exception) -> bool:
    cause = error.__cause__ if isinstance(error, Error) else error
    if not isinstance(cause, psycopg.Error):
        return False
    if cause.sqlstate is None:
        return isinstance(cause, psycopg.OperationalError | psycopg.InterfaceError)
    return cause.sqlstate[:2] in TEMPORARY
