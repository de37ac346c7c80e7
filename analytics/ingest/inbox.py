"""How accepted reports get into the inbox: whole, and committed before anybody is told so."""

import asyncio
import logging
from collections import deque
from collections.abc import Iterator
from datetime import datetime
from typing import Final

import msgspec
import psycopg

from analytics.ingest.answers import Tongue
from analytics.ingest.arrivals import Arrival
from analytics.ingest.line import ANSWER_WITHIN_S, Line, Unavailable

ROWS_AT_MOST, BYTES_AT_MOST = 64, 1_048_576

# COPY sends a body in parts of 128 KB. (Measured at 4 MiB: an INSERT's parameters cost 20 MiB of memory, COPY's 5.)
COPY: Final = """
COPY analytics_inboxreport (app_id, kind, environment, message_id, is_json, received_at, body)
FROM STDIN (FORMAT BINARY)
"""
TYPES: Final = ("int8", "int2", "text", "text", "bool", "timestamptz", "bytea")
logger = logging.getLogger(__name__)
_Place = tuple["Accepted", "asyncio.Future[None]"]


class Accepted(msgspec.Struct, frozen=True, gc=False):
    arrival: Arrival
    app_id: int
    received_at: datetime
    body: bytearray


class Inbox:
    """One writer: what comes in while it commits goes with its next statement.

    A commit costs the same for one report and for sixty, and so does a statement on the event loop that validate
    shares. (Measured with 32 senders of 3 KB: 7 000 to 12 000 reports a second, against 2 000 with one each.)
    """

    def __init__(self, line: Line) -> None:
        self._line = line
        self._waiting: deque[_Place] = deque()
        self._writer: asyncio.Task[None] | None = None

    async def add(self, report: Accepted) -> None:
        """Returns once it is committed.

        Errors: Unavailable, then it may be in the inbox nonetheless (who sends it again is counted once);
        psycopg.DataError and IntegrityError, where the report itself is refused.
        """
        written = asyncio.get_running_loop().create_future()
        self._waiting.append((report, written))
        if self._writer is None or self._writer.done():
            self._writer = asyncio.create_task(self._write())
        try:
            async with asyncio.timeout(ANSWER_WITHIN_S):
                await written
        except TimeoutError:
            raise Unavailable(f"not written within {ANSWER_WITHIN_S} s") from None

    async def aclose(self) -> None:
        """Once all that was accepted is written."""
        if self._writer is not None:
            await self._writer

    async def _write(self) -> None:
        while batch := list(self._next()):
            try:
                await self._copy(batch)
            except (psycopg.DataError, psycopg.IntegrityError) as error:
                await self._copy_one_by_one(batch, error)
            except Exception:
                logger.exception("the inbox was not written")
            finally:
                _settle(batch, Unavailable("the writer failed"))  # whatever failed, nobody waits in vain

    async def _copy(self, batch: list[_Place]) -> None:
        try:
            async with self._line.turn() as connection, connection.cursor() as cursor, cursor.copy(COPY) as copy:
                copy.set_types(TYPES)
                for report, _ in batch:
                    await copy.write_row(_row(report))
        except Unavailable as error:
            _settle(batch, error)
        else:
            _settle(batch, None)

    async def _copy_one_by_one(self, batch: list[_Place], error: psycopg.Error) -> None:
        """One that is refused (its app is gone) shall not take its neighbours along."""
        if len(batch) == 1:
            _settle(batch, error)
            return
        for place in batch:
            try:
                await self._copy([place])
            except (psycopg.DataError, psycopg.IntegrityError) as its_error:
                _settle([place], its_error)

    def _next(self) -> Iterator[_Place]:
        """The oldest that still wait, of a bounded size together; one at least, where there is any."""
        rows = size = 0
        while self._waiting and rows < ROWS_AT_MOST:
            report, written = self._waiting[0]
            size += len(report.body)
            if rows and size > BYTES_AT_MOST:
                return
            self._waiting.popleft()
            if not written.done():  # its sender was told that it took too long
                rows += 1
                yield report, written


def _settle(batch: list[_Place], error: Exception | None) -> None:
    for _, written in batch:
        if written.done():
            continue
        if error is None:
            written.set_result(None)
        else:
            written.set_exception(error)


def _row(report: Accepted) -> tuple[object, ...]:
    arrival = report.arrival
    is_json = arrival.tongue is Tongue.OTLP_JSON
    told = (arrival.environment, arrival.message_id, is_json)
    return report.app_id, int(arrival.kind), *told, report.received_at, report.body
