"""A connection to the web process: the short way of a plain call, the long way of all others, and their bounds."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import httpx
import pytest
from uvicorn import Config
from uvicorn.server import ServerState

from keys.validation import replies
from keys.validation.replies import JSON, Answer, Headers, SendAnswer
from limitly_site import http_connection
from limitly_site.http_connection import HttpConnection
from tests.cast import Tenant
from tests.conftest import ApiClient
from tests.live_server import serve

SOON_S = 0.1
BOUND_S = 0.5  # in place of ten seconds and more: a busy machine must not break it for those who are in time
PLAIN = b"POST /v1/validate HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\n{}"


class Site:
    """An application that tells which way a request came: `short`, or `long` with its body."""

    def __init__(self) -> None:
        self.validate = self
        self.heads: list[Headers] = []
        self.held: list[SendAnswer] | None = None

    def answer_soon(self, headers: Headers, body: bytes, send: SendAnswer) -> None:
        self.heads.append(headers)
        if self.held is None:
            send(Answer(200, [JSON], b"short"))
        else:
            self.held.append(send)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        body, more = b"", True
        while more:
            message = await receive()
            body, more = body + message.get("body", b""), message.get("more_body", False)
        self.heads.append(scope["headers"])
        text = b"long:" + body
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(text))]})
        await send({"type": "http.response.body", "body": text})


class Client:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    def send(self, data: bytes) -> None:
        self._writer.write(data)

    async def answer(self) -> tuple[int, str, bytes]:
        """Status, head and body of the next response."""
        head = (await asyncio.wait_for(self._reader.readuntil(b"\r\n\r\n"), 5)).decode().lower()
        length = int(head.partition("content-length: ")[2].split("\r\n")[0])
        return int(head.split()[1]), head, await self._reader.readexactly(length)

    async def bodies(self, count: int) -> list[bytes]:
        return [(await self.answer())[2] for _ in range(count)]

    async def is_closed(self) -> bool:
        return await asyncio.wait_for(self._reader.read(), 5) == b""

    def leave(self) -> None:
        self._writer.transport.abort()


def _run(check: Callable[[Client, Site, ServerState], Coroutine[Any, Any, None]]) -> None:
    """On a connection of a server in this event loop."""

    async def serve_and_check() -> None:
        site, state = Site(), ServerState()
        config = Config(site, http=HttpConnection, ws="none", lifespan="off", proxy_headers=False, log_config=None)
        config.load()
        loop = asyncio.get_running_loop()
        server = await loop.create_server(lambda: HttpConnection(config, state, {}), "127.0.0.1", 0)
        client = Client(*await asyncio.open_connection(*server.sockets[0].getsockname()))
        try:
            await check(client, site, state)
        finally:
            client.leave()
            server.close()
            await asyncio.sleep(0.01)

    asyncio.run(serve_and_check())


# --- the short way and the long way -------------------------------------------------------------------------------
def test_a_plain_call_goes_the_short_way_time_after_time() -> None:
    async def check(client: Client, site: Site, state: ServerState) -> None:
        for _ in range(3):
            client.send(PLAIN)
            status, head, body = await client.answer()
            assert (status, body) == (200, b"short")
            assert "connection: close" not in head
        assert site.heads[0] == [(b"host", b"h"), (b"content-length", b"2")]

    _run(check)


def test_a_plain_call_in_pieces_is_one() -> None:
    async def check(client: Client, site: Site, state: ServerState) -> None:
        for at in range(len(PLAIN)):
            client.send(PLAIN[at : at + 1])
            await asyncio.sleep(0)
        assert await client.bodies(1) == [b"short"]

    _run(check)


@pytest.mark.parametrize(
    "request_",
    [
        PLAIN.replace(b"/v1/validate", b"/v1/validate?a=b"),
        PLAIN.replace(b"/v1/validate", b"/v1/%76alidate"),
        PLAIN.replace(b"/v1/validate", b"/v1/keys"),
        PLAIN.replace(b"POST", b"PUT"),
        PLAIN.replace(b"HTTP/1.1", b"HTTP/1.0"),
        PLAIN.replace(b"Host: h", b"Connection: close"),
        PLAIN.replace(b"Host: h", b"Expect: something"),
        PLAIN.replace(b"Content-Length: 2\r\n\r\n{}", b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n"),
    ],
)
def test_what_is_not_plain_goes_the_long_way(request_: bytes) -> None:
    async def check(client: Client, site: Site, state: ServerState) -> None:
        client.send(request_)
        assert await client.bodies(1) == [b"long:{}"]

    _run(check)


def test_a_body_over_its_bound_or_before_the_stores_are_connected_goes_the_long_way() -> None:
    async def check(client: Client, site: Site, state: ServerState) -> None:
        large = b"x" * 20_000
        client.send(PLAIN.replace(b"Length: 2", b"Length: 20000").replace(b"{}", large))
        assert await client.bodies(1) == [b"long:" + large]
        site.validate = None  # type: ignore[assignment]
        client.send(PLAIN)
        assert await client.bodies(1) == [b"long:{}"]

    _run(check)


def test_both_ways_take_turns_on_one_connection_and_answers_keep_their_order() -> None:
    async def check(client: Client, site: Site, state: ServerState) -> None:
        other = PLAIN.replace(b"/v1/validate", b"/v1/keys")
        client.send(PLAIN)
        assert await client.bodies(1) == [b"short"]
        client.send(other)
        assert await client.bodies(1) == [b"long:{}"]
        site.held = []
        client.send(PLAIN + other.replace(b"{}", b"[]") + other)
        await asyncio.sleep(SOON_S)
        site.held.pop()(Answer(200, [JSON], b"first"))
        assert await client.bodies(3) == [b"first", b"long:[]", b"long:{}"]
        site.held = None
        client.send(PLAIN)
        assert await client.bodies(1) == [b"short"]

    _run(check)


def test_an_offer_of_http_2_is_answered_and_the_connection_lives() -> None:
    async def check(client: Client, site: Site, state: ServerState) -> None:
        offer = PLAIN.replace(b"Host: h", b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AA")
        long = offer.replace(b"/v1/validate", b"/v1/keys")
        client.send(offer)
        assert await client.bodies(1) == [b"short"]
        for at in range(len(long)):
            client.send(long[at : at + 1])
            await asyncio.sleep(0)
        assert await client.bodies(1) == [b"long:{}"]
        client.send(long.replace(b"POST", b"GET").replace(b"Content-Length: 2\r\n\r\n{}", b"\r\n") * 2)
        assert await client.bodies(2) == [b"long:", b"long:"]

    _run(check)


@pytest.mark.parametrize(
    "sent", [b"CONNECT h:80 HTTP/1.1\r\nHost: h\r\n\r\n", b"nonsense\r\n\r\n", b"GET  HTTP/9\r\n\r\n"]
)
def test_what_is_no_request_is_refused_and_the_connection_closed(sent: bytes) -> None:
    async def check(client: Client, site: Site, state: ServerState) -> None:
        client.send(sent)
        assert (await client.answer())[0] == 400
        assert await client.is_closed()

    _run(check)


def test_trailers_are_no_headers() -> None:
    async def check(client: Client, site: Site, state: ServerState) -> None:
        head = b"POST /v1/keys HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
        client.send(head + b"2\r\n{}\r\n0\r\nApi-Key: lk_other\r\n\r\n")
        assert await client.bodies(1) == [b"long:{}"]
        assert [name for name, _ in site.heads[0]] == [b"host", b"transfer-encoding"]

    _run(check)


def test_a_client_that_leaves_is_not_answered() -> None:
    async def check(client: Client, site: Site, state: ServerState) -> None:
        site.held = []
        client.send(PLAIN)
        await asyncio.sleep(SOON_S)
        client.leave()
        await asyncio.sleep(SOON_S)
        site.held.pop()(replies.FAILED)
        assert not state.connections

    _run(check)


def test_a_call_under_way_is_answered_before_the_server_stops() -> None:
    async def check(client: Client, site: Site, state: ServerState) -> None:
        site.held = []
        client.send(PLAIN)
        await asyncio.sleep(SOON_S)
        for connection in list(state.connections):
            connection.shutdown()
        site.held.pop()(Answer(200, [JSON], b"late"))
        status, head, body = await client.answer()
        assert (status, body) == (200, b"late")
        assert "connection: close" in head
        assert await client.is_closed()

    _run(check)


# --- bounds -------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("endless", [b"X-Padding: y\r\n", b"x"])
def test_a_head_without_end_is_refused(endless: bytes) -> None:
    async def check(client: Client, site: Site, state: ServerState) -> None:
        client.send(b"GET / HTTP/1.1\r\nA: ")
        for _ in range(http_connection.HEAD_MAX_BYTES // len(endless * 100) + 1):
            client.send(endless * 100)
            await asyncio.sleep(0.001)
        status, head, _ = await client.answer()
        assert status == 431
        assert "connection: close" in head

    _run(check)


@pytest.mark.parametrize("sent", [b"", b"\r\n", PLAIN[:40]])
def test_a_head_that_does_not_come_closes_the_connection(monkeypatch: pytest.MonkeyPatch, sent: bytes) -> None:
    monkeypatch.setattr(http_connection, "HEAD_WITHIN_S", BOUND_S)

    async def check(client: Client, site: Site, state: ServerState) -> None:
        client.send(sent)
        assert await client.is_closed()

    _run(check)


def test_an_idle_connection_is_closed_after_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_connection, "HEAD_WITHIN_S", BOUND_S)
    monkeypatch.setattr(http_connection, "IDLE_WITHIN_S", 2 * BOUND_S)

    async def check(client: Client, site: Site, state: ServerState) -> None:
        client.send(PLAIN)
        assert await client.bodies(1) == [b"short"]
        await asyncio.sleep(1.5 * BOUND_S)
        client.send(PLAIN)
        assert await client.bodies(1) == [b"short"]
        assert await client.is_closed()

    _run(check)


def test_a_late_body_of_a_plain_call_is_said_to_be_late(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_connection, "HEAD_WITHIN_S", BOUND_S)
    monkeypatch.setattr(http_connection, "BODY_WITHIN_S", BOUND_S)

    async def check(client: Client, site: Site, state: ServerState) -> None:
        client.send(PLAIN[:-1])
        status, _, body = await client.answer()
        assert (status, body) == (replies.TOO_SLOW.status, replies.TOO_SLOW.body)
        assert await client.is_closed()
        assert not site.heads

    _run(check)


def test_who_is_being_answered_is_not_late(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_connection, "HEAD_WITHIN_S", BOUND_S)

    async def check(client: Client, site: Site, state: ServerState) -> None:
        site.held = []
        client.send(PLAIN)
        await asyncio.sleep(3 * BOUND_S)
        site.held.pop()(Answer(200, [JSON], b"at last"))
        assert await client.bodies(1) == [b"at last"]

    _run(check)


# --- as in production ---------------------------------------------------------------------------------------------
def test_both_ways_and_every_process_answer_alike(api: ApiClient, alice: Tenant) -> None:
    key = alice.key(plan=alice.plan(100, "day", "Gold €"))
    good = {"api_key": key.secret, "endpoint": "/o", "method": "GET", "dry_run": True}
    calls: list[dict[str, Any]] = [
        {"json": good},
        {"json": good | {"cost": 101}},
        {"json": good | {"api_key": "unknown"}},
        {"json": good | {"cost": -1}},
        {"content": b"{"},
        {"json": good, "headers": {"Api-Key": "lk_" + "0" * 32}},
        {"json": good, "headers": {"Content-Type": "text/plain"}},
    ]
    with serve(processes=2) as server, httpx.Client(base_url=server.url) as http:
        for call in calls * 3:
            headers = alice.headers | call.get("headers", {})
            long = api.post("/v1/validate", of=alice, **call)
            short = http.post("/v1/validate", **(call | {"headers": headers}))
            assert (short.status_code, short.json()) == (long.status_code, long.json())
            assert set(short.headers) - {"date"} == set(long.headers)
