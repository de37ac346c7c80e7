"""How many SQL statements a call to the API costs: Django's, in whichever thread it ran."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

from django.db.backends.utils import CursorWrapper


@contextmanager
def counting_queries() -> Iterator[list[str]]:
    """The statements executed while it is open. CaptureQueriesContext sees one thread's connection alone."""
    seen: list[str] = []
    execute = CursorWrapper.execute

    def counted(self: CursorWrapper, sql: Any, params: Any = None) -> Any:
        seen.append(str(sql))
        return execute(self, sql, params)

    with patch.object(CursorWrapper, "execute", counted):
        yield seen
