"""Who is at work on an app: one worker on its reports, one transaction on what it adds up to.

Workers claim an app's reports; what is filed, folded or rebuilt waits for its turn. So nothing that an app adds up to
is read and written by two at once: its limits, cumulative streams and newest words are exact without a lock of a row.
"""

from collections.abc import Iterator
from contextlib import contextmanager, suppress

from django.db import InterfaceError, OperationalError, connection
from django.db.backends.utils import CursorWrapper

# Numbers that nobody else here uses (keys.partitions.ADVISORY_LOCK); the second key is the app.
CLAIMING, FILING = 5_108_002, 5_108_003


@contextmanager
def claiming(app_id: int) -> Iterator[bool]:
    """Whether this session has the app's reports to itself, until it is closed.

    A session's lock, for it spans the transaction that raises attempts and those that file: between them nobody else
    may take the same reports, or their attempts would count work under way as failures. A killed worker's lock ends
    with its connection. (Behind a pooler, workers need one that pools sessions.)
    """
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(%s, %s)", [CLAIMING, app_id])
        is_ours: bool = cursor.fetchone()[0]
    try:
        yield is_ours
    finally:
        if is_ours:
            _give_back(app_id)


def wait_for_turn(cursor: CursorWrapper, app_id: int) -> None:
    """From here to the end of the transaction nobody else files, folds or rebuilds of this app."""
    cursor.execute("SELECT pg_advisory_xact_lock(%s, %s)", [FILING, app_id])


def _give_back(app_id: int) -> None:
    with (
        suppress(OperationalError, InterfaceError),
        connection.cursor() as cursor,
    ):  # the session, and its lock, are gone
        cursor.execute("SELECT pg_advisory_unlock(%s, %s)", [CLAIMING, app_id])
