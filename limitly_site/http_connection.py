"""One client's HTTP/1.1 connection: uvicorn's, with bounds on time and size, and a short way to validate.

A call of validate as an SDK sends it is answered from the parser's callbacks: no ASGI scope, no task, no future, no
other thread. All else, and every unusual form of validate, goes uvicorn's way to the ASGI application.

uvicorn may import this before the application has loaded Django, so what needs Django is not imported here.
"""

import asyncio
import logging
import math
from typing import Any, Final, Protocol, cast

from httptools import HttpParserCallbackError, HttpParserError, HttpParserInvalidURLError, HttpParserUpgrade
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

from keys.validation import PATHS as VALIDATE_PATHS
from keys.validation import replies
from keys.validation.bodies import WITHIN_S as BODY_WITHIN_S
from keys.validation.parsing import BODY_MAX_BYTES
from keys.validation.replies import Answer, Headers, SendAnswer

HEAD_WITHIN_S: Final = 10.0  # a request's head, from its first byte; a new connection's, from its beginning
IDLE_WITHIN_S: Final = 75.0  # between two requests: longer than load balancers keep theirs, so that those close first
HEAD_MAX_BYTES: Final = 64 * 1024  # and what one read from the socket brings besides
VALIDATE_URLS: Final = frozenset(path.encode() for path in VALIDATE_PATHS)
# With one of these a request is no plain call: uvicorn knows what to do.
UNUSUAL_HEADERS: Final = frozenset({b"transfer-encoding", b"expect"})
WRONG_URL: Final = (HttpParserInvalidURLError, UnicodeDecodeError)
logger = logging.getLogger(__name__)


class ShortWay(Protocol):
    """What answers a plain call (keys.validation.app.ValidateApp)."""

    def answer_soon(self, headers: Headers, body: bytes, send: SendAnswer) -> None: ...


class ServedApplication(Protocol):
    """What is asked of the ASGI application besides: the short way, once it can be gone."""

    validate: ShortWay | None


class PlainCycle(RequestResponseCycle):
    """A plain call under way. One serves all of its connection: the next call begins when this one is answered."""

    message_event = asyncio.Event()  # uvicorn wakes who waits for a body; nobody does

    def __init__(self, connection: "HttpConnection") -> None:
        self._connection = connection
        self.begin()

    def begin(self) -> None:
        self.received = b""
        self.keep_alive = True
        self.response_complete = False

    def answer(self, answer: Answer) -> None:
        """Once: a late body is answered for, and may come still."""
        if not self.response_complete:
            self.response_complete = True
            self._connection.send_answer(answer, keep_alive=self.keep_alive)


class HttpConnection(HttpToolsProtocol):
    """Closes itself when a head, or the body of a plain call, is late; other bodies are bounded by who reads them."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._application = cast(ServedApplication, self.app)
        self._plain = PlainCycle(self)
        self._in_head = True  # or between two requests
        self._head_bytes = 0
        self._due = math.inf  # when what the client owes us must be here
        self._watch: asyncio.TimerHandle | None = None

    # --- asyncio.Protocol ---
    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._due = self.loop.time() + HEAD_WITHIN_S
        self._watch = self.loop.call_later(HEAD_WITHIN_S, self._close_when_late)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._watch is not None:
            self._watch.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._in_head:
            self._head_bytes += len(data)
        self._unset_keepalive_if_required()
        try:
            self._parse(data)
        except HttpParserError as error:
            if isinstance(error, HttpParserCallbackError) and not isinstance(error.__context__, WRONG_URL):
                logger.exception("a request could not be taken in", exc_info=error.__context__)  # a fault of ours
            self.send_400_response("Invalid HTTP request received.")
            return
        if self._in_head and self._head_bytes > HEAD_MAX_BYTES:
            if self._is_answering():
                self.transport.close()
            else:
                self.send_answer(replies.HEAD_TOO_LARGE, keep_alive=False)

    def _parse(self, data: bytes) -> None:
        """Feeds the parser, which ends a request that offers HTTP/2 before its body, as if the offer were accepted.

        It is not (Java's client makes one with each first request): the parser gets the request again, without it.
        """
        while data:
            try:
                self.parser.feed_data(data)
            except HttpParserUpgrade as offer:
                if self.parser.get_method() == b"CONNECT":
                    raise HttpParserError from None
                headers = [b"%b: %b\r\n" % each for each in self.headers if each[0] != b"upgrade"]
                head = b"%b %b HTTP/1.1\r\n%b\r\n" % (self.parser.get_method(), self.url, b"".join(headers))
                data = head + data[offer.args[0] :]
            else:
                return

    # --- the parser's callbacks ---
    def on_message_begin(self) -> None:
        self.url, self.headers, self.expect_100_continue = b"", [], False
        self._due = self.loop.time() + HEAD_WITHIN_S

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._in_head:  # a trailer is none of the headers that were judged
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        self._in_head, self._head_bytes = False, 0
        if self.parser.should_upgrade():
            return  # _parse gives it again
        if self._is_plain():
            self._due = self.loop.time() + BODY_WITHIN_S
            self._plain.begin()
            self.cycle = self._plain
            return
        self._due = math.inf
        url, headers, expects_100 = self.url, self.headers, self.expect_100_continue
        super().on_message_begin()  # makes the scope, which a plain call does without
        self.url, self.expect_100_continue = url, expects_100
        self.headers.extend(headers)
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        if self.cycle is self._plain:
            self._plain.received += body
        else:
            super().on_body(body)

    def on_message_complete(self) -> None:
        self._in_head = True
        if self.parser.should_upgrade():
            return
        if self.cycle is not self._plain:
            super().on_message_complete()
        elif self._application.validate is not None and not self._plain.response_complete:
            self._due = math.inf
            self._application.validate.answer_soon(self.headers, self._plain.received, self._plain.answer)

    # --- answers ---
    def on_response_complete(self) -> None:
        self._due = self.loop.time() + IDLE_WITHIN_S
        super().on_response_complete()

    def send_answer(self, answer: Answer, *, keep_alive: bool) -> None:
        """A whole response; then the connection is closed, or waits, or goes on with a pipelined request."""
        if self.transport.is_closing():
            return
        self.transport.write(response(answer, self.server_state.default_headers, keep_alive=keep_alive))
        if not keep_alive:
            self.transport.close()
        elif self.pipeline:
            self.on_response_complete()
        else:
            self._due = self.loop.time() + IDLE_WITHIN_S

    # --- private ---
    def _is_plain(self) -> bool:
        """A POST of a short body of known length to validate's very path, nothing else under way on this connection."""
        if self.url not in VALIDATE_URLS or self._application.validate is None:
            return False
        if self.parser.get_method() != b"POST" or not self.parser.should_keep_alive() or self.flow.write_paused:
            return False
        if self._is_answering():
            return False
        length = -1
        for name, value in self.headers:
            if name == b"content-length":
                length = int(value)  # digits: the parser saw to it
            elif name in UNUSUAL_HEADERS:
                return False
        return 0 <= length <= BODY_MAX_BYTES

    def _is_answering(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def _close_when_late(self) -> None:
        now = self.loop.time()
        if now < self._due:
            self._watch = self.loop.call_at(min(self._due, now + HEAD_WITHIN_S), self._close_when_late)
        elif self.cycle is self._plain and not self._plain.response_complete:
            self._plain.keep_alive = False
            self._plain.answer(replies.TOO_SLOW)
        else:
            self.transport.close()


def response(answer: Answer, default_headers: Headers, *, keep_alive: bool) -> bytes:
    """The bytes of an answer. Its headers are all ours, so that none holds a line break."""
    parts = [STATUS_LINE[answer.status]]
    for name, value in (*default_headers, *answer.headers):
        parts += (name, b": ", value, b"\r\n")
    if not keep_alive:
        parts.append(b"connection: close\r\n")
    parts += (b"content-length: %d\r\n\r\n" % len(answer.body), answer.body)
    return b"".join(parts)
