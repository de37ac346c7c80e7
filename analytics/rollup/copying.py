"""COPY as a statement like any other: what it fails with is Django's error, as of the rest."""

from collections.abc import Iterator
from contextlib import contextmanager

from django.db.backends.utils import CursorWrapper
from psycopg import Copy


@contextmanager
def copying(cursor: CursorWrapper, statement: str) -> Iterator[Copy]:
    with cursor.db.wrap_database_errors, cursor.copy(statement) as copy:
        yield copy
