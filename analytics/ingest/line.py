"""One connection to PostgreSQL of ingest's own: what is said over it, one statement after the other.

Not a pool: ingest needs exactly two, one that asks and one that writes, so that a flood of unknown credentials never
stands before a report. A line that cannot connect says so at once, and tries again with the next statement.
"""

import asyncio
import select
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final, LiteralString, TypeVar

import psycopg
from psycopg.rows import TupleRow

T = TypeVar("T")
ANSWER_WITHIN_S: Final = 5
# The peer of a connection may vanish without a word; the kernel shall notice within seconds, not a quarter of an hour.
LIVELINESS: Final = {
    "connect_timeout": 2,
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 2,
    "tcp_user_timeout": 10_000,
    "fallback_application_name": "limitly ingest",
}
# "Durable" is a promise: it holds on a server that commits loosely by default, too.
SESSION: Final = f"-c statement_timeout={ANSWER_WITHIN_S}s -c synchronous_commit=on -c TimeZone=UTC"


class Unavailable(Exception):
    """The database gave no answer, or none in time; what was asked of it may have been done."""


class Line:
    def __init__(self, database: Mapping[str, Any]) -> None:
        """`database` is how to connect, in libpq's words."""
        options = f"{database.get('options', '')} {SESSION}".strip()
        self._parameters: dict[str, Any] = {**LIVELINESS, **database, "options": options, "autocommit": True}
        self._connection: psycopg.AsyncConnection[TupleRow] | None = None
        self._turn = asyncio.Lock()

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[psycopg.AsyncConnection[TupleRow]]:
        """The connection, in autocommit, for one statement. Errors: Unavailable.

        psycopg's DataError and IntegrityError pass: there the values were refused, not their time.
        """
        async with self._turn:
            try:
                yield await self._live()
            except (psycopg.DataError, psycopg.IntegrityError):
                raise
            except psycopg.Error as error:
                raise Unavailable(f"{type(error).__name__}: {error}") from error

    async def ask(self, statement: LiteralString, values: Sequence[object] = ()) -> TupleRow:
        """The one row that a SELECT returns. Errors: Unavailable."""
        async with self.turn() as connection:
            cursor = await connection.execute(statement, values, prepare=True, binary=True)
            row = await cursor.fetchone()
        assert row is not None
        return row

    async def aclose(self) -> None:
        """After the statement under way."""
        async with self._turn:
            if self._connection is not None:
                await self._connection.close()

    async def _live(self) -> psycopg.AsyncConnection[TupleRow]:
        """The one there is, or a new one: a server that was restarted has said good-bye on the old one."""
        if self._connection is not None and _speaks_unasked(self._connection):
            await self._connection.close()
        if self._connection is None or self._connection.closed:
            self._connection = await psycopg.AsyncConnection.connect(**self._parameters)
        return self._connection


def _speaks_unasked(connection: psycopg.AsyncConnection[TupleRow]) -> bool:
    """Between two statements there is nothing to read but an end."""
    if connection.closed:
        return False
    waiting = select.poll()
    waiting.register(connection.fileno(), select.POLLIN)
    return bool(waiting.poll(0))


async def in_time(shared: "asyncio.Task[T]") -> T:
    """What a task brings that others await too: it goes on without those who waited too long. Errors: Unavailable."""
    try:
        return await asyncio.wait_for(asyncio.shield(shared), ANSWER_WITHIN_S)
    except TimeoutError:
        raise Unavailable(f"no answer within {ANSWER_WITHIN_S} s") from None


def note_failure(task: "asyncio.Task[T]") -> None:
    """When it is done: those who waited were told; where nobody was left, asyncio need not complain."""
    if not task.cancelled():
        task.exception()
