"""Exports under way: a reader that stalls holds no connection, and is let go; what was cut off cannot pass as whole."""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, Iterator, MutableMapping
from contextlib import contextmanager
from typing import Any

import httpx
import pytest
from django.db import connection

from accounts.api.authentication import ADMITTED
from accounts.api.streaming import _parts
from analytics.api.streaming import Exports, is_export
from tests.analytics.test_export_pages import START, shop_with
from tests.cast import Tenant
from tests.live_server import LiveServer, serve

Message = MutableMapping[str, Any]
Site = Callable[[Any, Any, Callable[[Message], Awaitable[None]]], Awaitable[None]]
BODY = {"since": START.isoformat()}
PATIENCE_S = 60
SERVER = "limitly-exports"  # as its connections to PostgreSQL are named
STATES = "SELECT state FROM pg_stat_activity WHERE application_name = %s AND datname = current_database()"
END_CONNECTION_OF_PAGES = """
SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity
 WHERE application_name = %s AND datname = current_database() AND query LIKE '%%row_number()%%'
"""


# --- places and slots ---------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("method", "path", "expected"),
    [
        ("POST", "/v1/apps/1/request-logs", True),
        ("POST", "/v1/apps/1/request-logs/stream", True),
        ("POST", "/v1/apps/1/metrics", True),
        ("GET", "/v1/apps/1/request-logs", False),
        ("POST", "/v1/apps/1/consumers", False),
        ("POST", "/v1/apps/1/metrics/", False),
    ],
)
def test_exports_are_known_by_method_and_path(method: str, path: str, expected: bool) -> None:
    assert is_export({"method": method, "path": path}) is expected


class Reader:
    """What was sent to a client, and whether it takes it."""

    def __init__(self, *, takes: int = 1_000) -> None:
        self.sent: list[Message] = []
        self._takes = takes

    async def send(self, message: Message) -> None:
        if len(self.sent) == self._takes:
            await asyncio.Event().wait()
        self.sent.append(message)

    @property
    def status(self) -> int:
        return int(self.sent[0]["status"])


async def answer(scope: Any, receive: Any, send: Callable[[Message], Awaitable[None]]) -> None:
    """A site whose answer has two parts."""
    await send({"type": "http.response.start", "status": 200})
    await send({"type": "http.response.body", "body": b"1", "more_body": True})
    await send({"type": "http.response.body", "body": b"2"})


def waiting(for_: asyncio.Event, *, before_the_answer: bool) -> Site:
    async def site(scope: Any, receive: Any, send: Callable[[Message], Awaitable[None]]) -> None:
        if not before_the_answer:
            await send({"type": "http.response.start", "status": 200})
        await for_.wait()
        if before_the_answer:
            await send({"type": "http.response.start", "status": 200})

    return site


async def call(exports: Exports, reader: Reader, *, access_key_id: int = 1) -> None:
    async def receive() -> Message:
        return {"type": "http.disconnect"}

    await exports({ADMITTED: access_key_id, "path": "/v1/apps/1/metrics"}, receive, reader.send)


async def settle() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


@pytest.mark.parametrize("limits", [{"stalled_after_s": 0.05}, {"ends_after_s": 0.05}])
def test_a_reader_that_stalls_is_let_go_without_an_end_and_its_place_is_free(limits: dict[str, float]) -> None:
    async def scenario() -> None:
        exports = Exports(answer, asyncio.Semaphore(1), at_once=1, **limits)
        stalled, other = Reader(takes=2), Reader()
        await call(exports, stalled)
        await call(exports, other)
        assert [message.get("body") for message in stalled.sent] == [None, b"1"]
        assert [message.get("body") for message in other.sent] == [None, b"1", b"2"]

    asyncio.run(scenario())


def test_places_are_counted_all_together_and_half_of_them_by_access_key() -> None:
    async def scenario() -> None:
        over = asyncio.Event()
        exports = Exports(waiting(over, before_the_answer=False), asyncio.Semaphore(8), at_once=4)
        readers = [Reader() for _ in range(6)]
        keys = (1, 1, 1, 2, 2, 3)
        tasks = []
        for reader, key in zip(readers, keys, strict=True):
            tasks.append(asyncio.create_task(call(exports, reader, access_key_id=key)))
            await settle()
        assert [reader.status for reader in readers] == [200, 200, 429, 200, 200, 503]
        refused = [reader.sent for reader in readers if reader.status != 200]
        assert all((b"retry-after", b"10") in sent[0]["headers"] for sent in refused)
        assert [json.loads(sent[1]["body"])["code"] for sent in refused] == [
            "RATE_LIMIT_EXCEEDED",
            "SERVICE_UNAVAILABLE",
        ]
        over.set()
        await asyncio.gather(*tasks)
        again = Reader()
        await call(exports, again)
        assert again.status == 200

    asyncio.run(scenario())


@pytest.mark.parametrize("before_the_answer", [True, False])
def test_a_slot_is_taken_until_django_answers_and_not_while_it_streams(before_the_answer: bool) -> None:
    async def scenario() -> None:
        slots, over = asyncio.Semaphore(1), asyncio.Event()
        exports = Exports(waiting(over, before_the_answer=before_the_answer), slots, at_once=2)
        task = asyncio.create_task(call(exports, Reader()))
        await settle()
        assert slots.locked() is before_the_answer
        over.set()
        await task
        assert not slots.locked()

    asyncio.run(scenario())


@pytest.mark.django_db
def test_the_headers_leave_before_the_first_page_is_read_and_each_page_takes_a_slot() -> None:
    async def scenario() -> None:
        slots = asyncio.Semaphore(1)
        made: list[bool] = []

        def pages() -> Iterator[bytes]:
            for each in (b"1", b"2"):
                made.append(slots.locked())
                yield each

        seen = []
        async for part in _parts(pages(), slots):
            assert not slots.locked()
            seen.append((part, len(made)))
        assert seen == [(b"", 0), (b"1", 1), (b"2", 2)]
        assert made == [True, True]

    asyncio.run(scenario())


# --- a server, and readers of it ----------------------------------------------------------------------------------
@pytest.fixture(scope="module")
def small_server(django_db_setup: None) -> Iterator[LiveServer]:
    """One slot, one connection to the database, two exports at once, one of an access key."""
    with serve(
        LIMITLY_WEB_POOL="1", LIMITLY_DJANGO_CONCURRENCY="1", LIMITLY_EXPORTS_AT_ONCE="2", PGAPPNAME=SERVER
    ) as server:
        yield server


@pytest.fixture
def shop(small_server: LiveServer, alice: Tenant) -> str:
    """The address of an export of 20 MB: more than lies in buffers between the server and a reader that stalls."""
    return f"{small_server.url}/v1/apps/{shop_with(50_000, of=alice).app_id}/request-logs"


@contextmanager
def stalled(url: str, tenant: Tenant) -> Iterator[Iterator[str]]:
    """The lines of an export of which one was read."""
    with httpx.stream("POST", url, headers=tenant.headers, json=BODY, timeout=PATIENCE_S) as answer:
        assert answer.status_code == 200
        lines = answer.iter_lines()
        assert json.loads(next(lines))["response_size_bytes"] == 0
        yield lines


def attempts() -> Iterator[int]:
    """Numbers, until patience is over: a slow machine takes its time."""
    ends, number = time.monotonic() + PATIENCE_S, 0
    while time.monotonic() < ends:
        yield number
        number += 1
        time.sleep(0.1)
    raise TimeoutError


def wait_for_a_place(url: str, tenant: Tenant) -> None:
    for _ in attempts():
        one = BODY | {"limit": 1}
        with httpx.stream("POST", url, headers=tenant.headers, json=one, timeout=PATIENCE_S) as answer:
            if answer.status_code == 200:
                return


def wait_until_idle() -> None:
    """What the server holds of the database: at no time a transaction that waits."""
    for _ in attempts():
        with connection.cursor() as cursor:
            cursor.execute(STATES, [SERVER])
            states = {state for (state,) in cursor.fetchall()}
        assert states <= {"idle", "active"}
        if states == {"idle"}:
            return


def test_a_reader_that_stalls_holds_neither_slot_nor_connection_and_may_go_on(shop: str, alice: Tenant) -> None:
    with stalled(shop, alice) as lines:
        others = [
            httpx.get(f"{shop.partition('/apps')[0]}/apps", headers=alice.headers, timeout=PATIENCE_S) for _ in range(5)
        ]
        wait_until_idle()
        rest = [json.loads(line)["response_size_bytes"] for line in lines]
    assert [answer.status_code for answer in others] == [200] * 5
    assert rest == list(range(1, 50_000))


def test_a_reader_that_goes_away_gives_its_place_back(shop: str, alice: Tenant) -> None:
    with stalled(shop, alice):
        second = httpx.post(shop, headers=alice.headers, json=BODY, timeout=PATIENCE_S)
        assert (second.status_code, second.json()["code"]) == (429, "RATE_LIMIT_EXCEEDED")
        assert second.headers["Retry-After"] == "10"
    wait_for_a_place(shop, alice)


def test_an_export_that_breaks_off_is_seen_to_be_cut(shop: str, alice: Tenant) -> None:
    with stalled(shop, alice) as lines:
        wait_until_idle()
        with connection.cursor() as cursor:
            cursor.execute(END_CONNECTION_OF_PAGES, [SERVER])
            assert cursor.fetchall() == [(True,)]
        with pytest.raises(httpx.RemoteProtocolError, match="incomplete"):
            list(lines)
    wait_for_a_place(shop, alice)
