"""One pipelined connection to Redis: calls made in one turn of the event loop leave in one write, none is sent twice.

redis-py connects for everything else. Here its per-call machinery would cost more than the script itself (measured:
12 900 against 18 500 decisions/s), and its retries must not be: a decision that was perhaps made is never sent again.
"""

import asyncio
import logging
import ssl
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

import hiredis
from redis.asyncio.connection import parse_url

Reply = Any  # what hiredis decodes: int, bytes, None, HiredisError or a list of these
Word = str | bytes | int
logger = logging.getLogger(__name__)


class RedisUnavailable(Exception):
    """No answer, or an error for one: whether the call was carried out is unknown. It must not be sent again."""


@dataclass(frozen=True, slots=True)
class RedisAddress:
    """Where the server is and what is said first on a new connection."""

    socket_path: str | None
    host: str
    port: int
    tls: ssl.SSLContext | None
    greeting: tuple[tuple[str, ...], ...]

    @classmethod
    def parse(cls, url: str) -> "RedisAddress":
        """Of redis://, rediss:// or unix:// with user, password and database number."""
        told: dict[str, Any] = dict(parse_url(url))
        greeting: list[tuple[str, ...]] = []
        if password := told.get("password"):
            user = told.get("username")
            greeting.append(("AUTH", user, password) if user else ("AUTH", password))
        if database := int(told.get("db") or 0):
            greeting.append(("SELECT", str(database)))
        return cls(
            socket_path=told.get("path"),
            host=told.get("host") or "localhost",
            port=int(told.get("port") or 6379),
            tls=_tls(told) if url.startswith("rediss:") else None,
            greeting=tuple(greeting),
        )


class RedisConnection(asyncio.Protocol):
    """Lives until its first failure; then every call that is under way fails and `is_closed` is true for good."""

    def __init__(self, answer_within_s: float) -> None:
        self._answer_within_s = answer_within_s
        self._loop = asyncio.get_running_loop()
        self._reader = hiredis.Reader(notEnoughData=self)
        self._waiting: deque[tuple[float, Callable[[Reply], None]]] = deque()
        self._unsent: list[bytes] = []
        self._transport: asyncio.Transport | None = None
        self._watch: asyncio.TimerHandle | None = None
        self.is_closed = False
        self.run = ""

    @classmethod
    async def open(cls, address: RedisAddress, answer_within_s: float) -> "RedisConnection":
        """Connects, greets and learns the server's run_id. Errors: RedisUnavailable."""
        loop = asyncio.get_running_loop()
        connection = cls(answer_within_s)
        try:
            async with asyncio.timeout(answer_within_s):
                if address.socket_path:
                    await loop.create_unix_connection(lambda: connection, address.socket_path)
                else:
                    await loop.create_connection(lambda: connection, address.host, address.port, ssl=address.tls)
                for words in address.greeting:
                    await connection.call(*words)
                connection.run = _run_id(await connection.call("INFO", "server"))
        except (OSError, TimeoutError) as error:
            connection.close()
            raise RedisUnavailable(f"cannot connect: {error}") from error
        except BaseException:
            connection.close()
            raise
        return connection

    def send(self, words: tuple[Word, ...], on_reply: Callable[[Reply], None]) -> None:
        """Sends one command; `on_reply` is called once, with the reply, its HiredisError, or RedisUnavailable.

        A callback and not a future: to wake a task for each of them costs as much as the rest of a warm decision.
        """
        if self.is_closed:
            on_reply(RedisUnavailable("the connection is closed"))
            return
        if not self._unsent:
            self._loop.call_soon(self._flush)
        # Its stub says a tuple of one.
        self._unsent.append(hiredis.pack_command(words))  # type: ignore[arg-type]
        self._waiting.append((self._loop.time() + self._answer_within_s, on_reply))
        if self._watch is None:
            self._watch = self._loop.call_later(self._answer_within_s, self._close_when_late)

    def call(self, *words: Word) -> asyncio.Future[Reply]:
        """Sends one command. The future's errors: RedisUnavailable, or the HiredisError that the server answered."""
        future: asyncio.Future[Reply] = self._loop.create_future()

        def settle(reply: Reply) -> None:
            if future.done():
                return  # its caller has left
            if isinstance(reply, (hiredis.HiredisError, RedisUnavailable)):
                future.set_exception(reply)
            else:
                future.set_result(reply)

        self.send(words, settle)
        return future

    def close(self, reason: str = "the connection was closed") -> None:
        self.is_closed = True
        if self._transport is not None:
            self._transport.abort()
        if self._watch is not None:
            self._watch.cancel()
        while self._waiting:
            self._tell_next(RedisUnavailable(reason))

    # --- asyncio.Protocol ---
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is none by inheritance

    def data_received(self, data: bytes) -> None:
        self._reader.feed(data)
        try:
            while (reply := self._reader.gets()) is not self:
                self._tell_next(reply)
        except hiredis.ProtocolError as error:
            self.close(f"not understood: {error}")

    def connection_lost(self, error: Exception | None) -> None:
        self.close(f"the connection broke: {error or 'the server closed it'}")

    # --- private ---
    def _tell_next(self, reply: Reply) -> None:
        on_reply = self._waiting.popleft()[1]
        try:
            on_reply(reply)
        except Exception:
            logger.exception("a reply could not be taken in")  # its own fault: those behind it are answered

    def _flush(self) -> None:
        unsent, self._unsent = self._unsent, []
        if self._transport is not None and not self.is_closed:
            self._transport.write(b"".join(unsent))

    def _close_when_late(self) -> None:
        """The oldest call decides: answers come in order, so when it is late, so are all behind it."""
        self._watch = None
        if not self._waiting:
            return
        due = self._waiting[0][0]
        if due <= self._loop.time():
            self.close("no answer in time")
        else:
            self._watch = self._loop.call_at(due, self._close_when_late)


def _run_id(info: Reply) -> str:
    for line in info.decode().splitlines():
        if line.startswith("run_id:"):
            return str(line.removeprefix("run_id:"))
    raise RedisUnavailable("INFO names no run_id: is this a proxy? Connect to the server itself")


def _tls(told: dict[str, Any]) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=told.get("ssl_ca_certs"))
    if told.get("ssl_cert_reqs") in ("none", "optional"):
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if certificate := told.get("ssl_certfile"):
        context.load_cert_chain(certificate, told.get("ssl_keyfile"))
    return context
