"""The dialogue with Redis and PostgreSQL that ends in a decision: decide, fill what it missed, open what is closed."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import hiredis
import msgspec
import psycopg

from accounts.models import Scope
from accounts.secrets import BUCKETS, Bucket, bucket_of, digest_of
from keys.events import head_name, request_words
from keys.ledger.opening import open_bucket
from keys.validation.connection import RedisAddress, RedisConnection, RedisUnavailable, Reply, Word
from keys.validation.fills import Pool, read_fill
from keys.validation.parsing import ParsedCall
from keys.validation.verdicts import Decision, read_reply

ANSWER_WITHIN_S: Final = 0.3  # one answer of Redis; one SELECT
DECIDE_WITHIN_S: Final = 0.9  # all of them together
FILLS_AT_ONCE: Final = 8
ATTEMPTS: Final = 12
_UNASKED: Final[list[Any]] = [b"UNASKED"]
UNDECIDED: Final = frozenset({b"MISS", b"CLOSED", b"FULL", b"UNASKED"})
# From this fill on it decides its own call although something was changed meanwhile: a tenant may write all the time.
INSISTING_FILL: Final = 3

_HEADS: Final = [head_name(Bucket(each)) for each in range(BUCKETS)]
SCRIPT = Path(__file__).with_name("decide.lua").read_text()


class StoreUnavailable(Exception):
    """No decision within its time. It may have been made: it must not be asked for again on the caller's behalf."""


class _Question(msgspec.Struct, frozen=True, gc=False):
    """What does not change while one decision is sought: the script's words but its first, and their digests."""

    bucket: Bucket
    arguments: tuple[str | int, ...]
    access_key: bytes
    api_key: bytes | None


# How a search ended: a decision, or what kept it from one (StoreUnavailable, or a fault of ours).
Outcome = Decision | BaseException
Tell = Callable[[Outcome], None]

# The script's last four arguments: the fill as JSON, its nonce, its inv, and whether it insists; none without a fill.
_Fill = tuple[str, str, str, str] | tuple[()]
_NO_FILL: _Fill = ()


class DecisionStore:
    """One per event loop: one pipelined connection to Redis, made again when it broke, and a pool for fills."""

    def __init__(self, redis_url: str, pool: Pool, *, stream_max: int) -> None:
        self._address = RedisAddress.parse(redis_url)
        self._pool = pool
        self._stream_max = stream_max
        self._connection: RedisConnection | None = None
        self._connecting: asyncio.Task[RedisConnection] | None = None
        self._script_digest = b""
        self._fill_slots = asyncio.Semaphore(FILLS_AT_ONCE)
        self._searches: set[asyncio.Task[Decision]] = set()

    def decide(self, access_key: str, call: ParsedCall) -> Awaitable[Decision]:
        """One decision on an access key of the right form. Cost: one round trip warm; two and one SELECT cold.

        Errors: StoreUnavailable, within 900 ms.
        """
        return self._answer(self._question_of(access_key, call))

    def decide_soon(self, access_key: str, call: ParsedCall, tell: Tell) -> None:
        """As decide, told to a function: where the first reply decides, no task is made and none is woken."""
        self._ask(self._question_of(access_key, call), tell)

    def admit(self, access_key: str, scope: Scope) -> Awaitable[Decision]:
        """Spends one call of an access key's minute. Errors: StoreUnavailable."""
        return self._answer(_question(access_key, self._stream_max, scope, "admit"))

    async def open(self) -> None:
        """Lets the pool connect; Redis is connected by the first question."""
        await self._pool.open()

    async def aclose(self) -> None:
        if self._connection is not None:
            self._connection.close()
        await self._pool.close()

    # --- private ---
    def _question_of(self, access_key: str, call: ParsedCall) -> _Question:
        mode = "preview" if call.is_dry_run else "decide"
        return _question(access_key, self._stream_max, Scope.LIMITLY, mode, call)

    async def _answer(self, question: _Question) -> Decision:
        outcome: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        self._ask(question, lambda told: None if outcome.done() else outcome.set_result(told))
        decision = await outcome
        if isinstance(decision, BaseException):
            raise decision
        return decision

    def _ask(self, question: _Question, tell: Tell) -> None:
        """Warm, one call of the script, which has a time of its own; a timer would cost as much as all of it."""
        connection, since = self._connection, asyncio.get_running_loop().time()
        if connection is None or connection.is_closed:
            self._search(question, _UNASKED, since, tell)
            return

        def take(reply: Reply) -> None:
            if type(reply) is list and reply[0] not in UNDECIDED:
                tell(read_reply(reply))
            else:
                self._search(question, reply, since, tell)

        connection.send(self._words(connection, question, _NO_FILL), take)

    def _search(self, question: _Question, reply: Reply, since: float, tell: Tell) -> None:
        """A task that goes on from the script's first reply, and its end told."""

        def end(task: asyncio.Task[Decision]) -> None:
            self._searches.discard(task)
            tell(StoreUnavailable("stopped meanwhile") if task.cancelled() else task.exception() or task.result())

        task = asyncio.get_running_loop().create_task(self._decide_from(question, reply, since))
        self._searches.add(task)
        task.add_done_callback(end)

    async def _decide_from(self, question: _Question, reply: Reply, since: float) -> Decision:
        try:
            if isinstance(reply, Exception):
                if not _is_unknown_script(reply):
                    raise reply
                reply = _UNASKED  # nothing was carried out
            async with asyncio.timeout_at(since + DECIDE_WITHIN_S):
                return read_reply(await self._ask_until_decided(question, reply))
        except (RedisUnavailable, hiredis.HiredisError, psycopg.Error, TimeoutError) as error:
            raise StoreUnavailable(f"{type(error).__name__}: {error}") from error

    async def _ask_until_decided(self, question: _Question, reply: list[Any]) -> list[Any]:
        """Goes on from the script's last reply, or asks it for the first time."""
        fill, fills = _NO_FILL, 0
        for _ in range(ATTEMPTS):
            connection = await self._live_connection()
            match reply[0]:
                case b"MISS":
                    fills += 1
                    fill = await self._fill(question, reply, insists=fills >= INSISTING_FILL)
                case b"CLOSED":
                    fill = _NO_FILL
                    await self._open(connection, question.bucket)
                case b"FULL":
                    raise StoreUnavailable("the stream of events is full: is the worker draining it?")
            reply = await self._call_script(connection, question, fill)
            if reply[0] not in UNDECIDED:
                return reply
        raise StoreUnavailable(f"undecided after {ATTEMPTS} attempts")

    async def _call_script(self, connection: RedisConnection, question: _Question, fill: _Fill) -> list[Any]:
        try:
            reply: list[Any] = await connection.call(*self._words(connection, question, fill))
        except hiredis.ReplyError as error:
            if not _is_unknown_script(error):
                raise
            await self._load_script(connection)
            reply = await connection.call(*self._words(connection, question, fill))
        return reply

    def _words(self, connection: RedisConnection, question: _Question, fill: _Fill) -> tuple[Word, ...]:
        head = _HEADS[question.bucket]
        return ("EVALSHA", self._script_digest, 1, head, connection.run, *question.arguments, *fill)

    async def _fill(self, question: _Question, miss: list[Any], *, insists: bool) -> _Fill:
        _, nonce, inv, now_ms = miss
        async with self._fill_slot(), asyncio.timeout(ANSWER_WITHIN_S):
            fill = await read_fill(self._pool, access_key=question.access_key, api_key=question.api_key, now_ms=now_ms)
        return msgspec.json.encode(fill).decode(), nonce.decode(), inv.decode(), "1" if insists else ""

    @asynccontextmanager
    async def _fill_slot(self) -> AsyncIterator[None]:
        """One of the few look-ups that run at once, so that junk keys cannot occupy the database."""
        async with asyncio.timeout(ANSWER_WITHIN_S):
            await self._fill_slots.acquire()
        try:
            yield
        finally:
            self._fill_slots.release()

    async def _open(self, connection: RedisConnection, bucket: Bucket) -> None:
        async with self._fill_slot(), self._pool.connection(timeout=ANSWER_WITHIN_S) as database:
            await open_bucket(database, connection.call, bucket, run=connection.run)

    async def _live_connection(self) -> RedisConnection:
        """The one there is, or a new one; those who ask while it is being made share it."""
        if self._connection is not None and not self._connection.is_closed:
            return self._connection
        if self._connecting is None:
            self._connecting = asyncio.create_task(self._open_connection())
            self._connecting.add_done_callback(self._connected)
        return await asyncio.shield(self._connecting)

    async def _open_connection(self) -> RedisConnection:
        connection = await RedisConnection.open(self._address, ANSWER_WITHIN_S)
        await self._load_script(connection)
        return connection

    def _connected(self, task: asyncio.Task[RedisConnection]) -> None:
        self._connecting = None
        if not task.cancelled() and task.exception() is None:
            self._connection = task.result()

    async def _load_script(self, connection: RedisConnection) -> None:
        self._script_digest = await connection.call("SCRIPT", "LOAD", SCRIPT)


def _question(access_key: str, stream_max: int, scope: Scope, mode: str, call: ParsedCall | None = None) -> _Question:
    access_digest = digest_of(access_key)
    if call is None:
        details: tuple[str | int, ...] = ("", 0, "")
        key_digest = None
    else:
        key_digest = digest_of(call.api_key)
        details = (key_digest.hex(), call.cost, request_words(call.method, call.ip, call.endpoint))
    arguments = (mode, access_digest.hex(), *details, scope.value, stream_max)
    return _Question(bucket_of(access_key), arguments, access_digest, key_digest)


def _is_unknown_script(error: Exception) -> bool:
    """Whether the server has forgotten the script: then it carried nothing out."""
    return isinstance(error, hiredis.ReplyError) and str(error).startswith("NOSCRIPT")
