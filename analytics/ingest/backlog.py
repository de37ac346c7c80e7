"""How much waits in the inbox: bytes by a bounded sample, age by an index. Neither ever reads the whole of it."""

import asyncio
import math
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from django.db import connection

from analytics.ingest.line import Line, in_time, note_failure

REFRESHED_AFTER_S, STALE_AFTER_S = 1, 5

# An inbox of up to 4 MiB is read whole, and its sum exact (bodies over 2 KB lie beside it: it holds a pointer to them,
# which knows their length). Of a larger one about 512 pages, drawn by chance, stand for all: near enough to a bound of
# gigabytes, at a cost that does not grow with the inbox, nor with the dead rows that a worker leaves in it.
BYTES: Final = """
SELECT (coalesce(sum(octet_length(body)), 0)
       * greatest(1, pg_relation_size('analytics_inboxreport') / 4194304.0))::bigint
  FROM analytics_inboxreport
       TABLESAMPLE SYSTEM (least(100, 100 * 4194304.0 / greatest(1, pg_relation_size('analytics_inboxreport'))))
"""
OLDEST: Final = "SELECT min(received_at) FROM analytics_inboxreport"


@dataclass(frozen=True, slots=True)
class Waiting:
    bytes: int
    oldest_at: datetime | None


def read_waiting() -> Waiting:
    """For whoever watches. Cost: two short SELECTs."""
    with connection.cursor() as cursor:
        cursor.execute(BYTES)
        (size,) = cursor.fetchone()
        cursor.execute(OLDEST)
        (oldest_at,) = cursor.fetchone()
    return Waiting(size, oldest_at)


class Backlog:
    """What a web process believes of the inbox: a figure of a second ago, and what it has put there since.

    What other processes put there meanwhile it learns with the next figure: the bound is passed by a second's reports.
    """

    def __init__(self, line: Line, *, at_most_bytes: int, clock: Callable[[], float]) -> None:
        self._line = line
        self._at_most_bytes = at_most_bytes
        self._clock = clock
        self._read_at = -math.inf
        self._bytes = 0
        self._added = 0
        self._reading: asyncio.Task[None] | None = None

    async def is_full(self) -> bool:
        """Cost: a SELECT a second for all reports together; nobody waits for it before the figure is 5 s old.

        Errors: Unavailable.
        """
        age_s = self._clock() - self._read_at
        if age_s >= REFRESHED_AFTER_S and self._reading is None:
            self._reading = asyncio.create_task(self._read())
            self._reading.add_done_callback(note_failure)
        if age_s >= STALE_AFTER_S and self._reading is not None:
            await in_time(self._reading)
        return self._bytes + self._added >= self._at_most_bytes

    def add(self, size: int) -> None:
        self._added += size

    async def _read(self) -> None:
        """A failure is told to those who wait for it; the next report asks again."""
        read_at, added_before = self._clock(), self._added
        try:
            (size,) = await self._line.ask(BYTES)
        finally:
            self._reading = None
        self._read_at, self._bytes = read_at, size
        self._added -= added_before
