"""What is taken in at once: rates of an app and signal, bytes in memory, bytes that wait to be counted."""

import asyncio
from collections.abc import AsyncIterator, Callable

import pytest
from django.db import connection

from analytics.ingest import admission
from analytics.ingest.admission import REPORT_BYTES, NoRoom, Rates, Room
from analytics.ingest.backlog import BYTES, OLDEST, Waiting, read_waiting
from analytics.models import InboxReport, ReportKind
from tests.analytics.reporters import Clock, Ingest, Reporter, bodies, new_reporter
from tests.cast import Tenant

MIB = 1024 * 1024


# --- rates --------------------------------------------------------------------------------------------------------
def _admitted(rates: Rates, count: int, app_id: int = 1, kind: ReportKind = ReportKind.SYNC) -> list[int]:
    return [rates.wait_s(app_id, kind) for _ in range(count)]


def test_two_hundred_a_second_are_admitted() -> None:
    clock = Clock()
    rates = Rates(clock)
    assert _admitted(rates, 202) == [0] * 200 + [1, 1]
    clock.now += 0.99
    assert _admitted(rates, 1) == [1]
    clock.now += 0.01
    assert _admitted(rates, 201) == [0] * 200 + [1]


def test_eighteen_hundred_a_minute_are_admitted_and_refusals_cost_nothing() -> None:
    clock = Clock()
    rates = Rates(clock)
    for _ in range(8):
        assert _admitted(rates, 250) == [0] * 200 + [1] * 50
        clock.now += 1
    assert _admitted(rates, 250) == [0] * 200 + [52] * 50
    clock.now += 51.5
    assert _admitted(rates, 1) == [1]
    clock.now += 0.5
    assert _admitted(rates, 200) == [0] * 200


def test_apps_and_signals_are_counted_apart() -> None:
    rates = Rates(Clock())
    for app_id in (1, 2):
        for kind in ReportKind:
            assert _admitted(rates, 201, app_id, kind) == [0] * 200 + [1]


def test_the_table_of_rates_is_bounded_and_forgets_the_silent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(admission, "COUNTED_AT_MOST", 3)
    rates = Rates(Clock())
    _admitted(rates, 200, app_id=1)
    for app_id in (2, 3, 1, 4):
        _admitted(rates, 1, app_id)
    assert len(rates._counts) == 3
    assert _admitted(rates, 1, app_id=1) == [1]  # it spoke lately; app 2 had to go


def test_a_report_over_its_rate_is_429_with_the_time_to_wait(ingest: Ingest, shop: Reporter, alice: Tenant) -> None:
    for _ in range(200):
        assert ingest.app._rates.wait_s(shop.app.pk, ReportKind.SYNC) == 0
    hub = ingest.post(shop.hub("sync"), content=b"x")
    assert (hub.status_code, hub.json()["code"], hub.headers["Retry-After"]) == (429, "RATE_LIMIT_EXCEEDED", "1")
    assert ingest.post(shop.hub("log"), content=b"x").status_code == 202
    assert ingest.post(new_reporter(alice).hub("sync"), content=b"x").status_code == 202
    ingest.clock.now += 1
    assert ingest.post(shop.hub("sync"), content=b"x").status_code == 202


def test_otlp_over_its_rate_is_429_too(ingest: Ingest, shop: Reporter) -> None:
    for _ in range(200):
        ingest.app._rates.wait_s(shop.app.pk, ReportKind.TRACES)
    answer = ingest.post("/v1/traces", headers=shop.headers(), content=b"x")
    assert (answer.status_code, answer.headers["Retry-After"], answer.content[:2]) == (429, "1", b"\x08\x08")


# --- memory -------------------------------------------------------------------------------------------------------
def test_room_is_given_back_however_a_report_ends() -> None:
    room = Room(REPORT_BYTES + 10)
    with room.hold() as held:
        held.grow_to(4)
        held.grow_to(10)
        held.grow_to(10)
        with pytest.raises(NoRoom):
            held.grow_to(11)
        with pytest.raises(NoRoom), room.hold():
            pass
    with pytest.raises(ZeroDivisionError), room.hold() as held:
        held.grow_to(10)
        raise ZeroDivisionError
    room.take(REPORT_BYTES + 10)


@pytest.mark.parametrize("is_told", [True, False])
def test_bodies_beyond_the_room_are_503_at_once(
    new_ingest: Callable[..., Ingest], shop: Reporter, is_told: bool
) -> None:
    ingest = new_ingest(in_flight_bytes=100_000 + 2 * REPORT_BYTES)
    go_on = ingest.portal.call(asyncio.Event)

    async def half() -> AsyncIterator[bytes]:
        yield b"x" * 30_000  # twice that is held: its length is not told
        await go_on.wait()
        yield b"x" * 10_000

    first = ingest.portal.start_task_soon(ingest.send, shop.hub("log"), {}, half())
    while ingest.app._room._left > 40_000 + REPORT_BYTES:
        ingest.portal.call(asyncio.sleep, 0.001)
    body = b"y" * 40_001
    second = ingest.post(shop.hub("log"), content=body if is_told else _one(body))
    third = ingest.post(shop.hub("log"), content=b"z" * 20_000)
    ingest.portal.call(go_on.set)
    assert (second.status_code, second.headers["Retry-After"]) == (503, "1")
    assert (third.status_code, first.result().status_code) == (202, 202)
    assert bodies() == [b"z" * 20_000, b"x" * 40_000]
    assert ingest.app._room._left == 100_000 + 2 * REPORT_BYTES


async def _one(body: bytes) -> AsyncIterator[bytes]:
    yield body


# --- backlog ------------------------------------------------------------------------------------------------------
def test_a_full_backlog_is_503_until_it_is_counted(new_ingest: Callable[..., Ingest], shop: Reporter) -> None:
    ingest = new_ingest(backlog_bytes=MIB)
    statuses = [ingest.post(shop.hub("log"), content=b"x" * 600_000).status_code for _ in range(3)]
    otlp = ingest.post("/v1/traces", headers=shop.headers(), content=b"x")
    assert statuses == [202, 202, 503]  # what this process put there itself it knows at once
    assert (otlp.status_code, otlp.headers["Retry-After"], otlp.content[:2]) == (503, "15", b"\x08\x0e")
    InboxReport.objects.all().delete()
    assert ingest.post(shop.hub("log"), content=b"x").status_code == 503
    ingest.clock.now += 5
    assert ingest.post(shop.hub("log"), content=b"x").status_code == 202


def test_what_others_put_there_is_known_a_second_later(new_ingest: Callable[..., Ingest], shop: Reporter) -> None:
    here, there = new_ingest(backlog_bytes=MIB), new_ingest()
    assert here.post(shop.hub("log"), content=b"x").status_code == 202
    assert there.post(shop.hub("log"), content=b"x" * MIB).status_code == 202
    here.clock.now += 1
    here.post(shop.hub("log"), content=b"x")  # by which it is asked; nobody waits for the answer
    while here.app._backlog._reading is not None:
        here.portal.call(asyncio.sleep, 0.001)
    assert here.post(shop.hub("log"), content=b"x").status_code == 503


def test_what_waits_is_told_exactly_while_it_is_little(ingest: Ingest, shop: Reporter) -> None:
    assert read_waiting() == Waiting(0, None)
    for size in (0, 10, 100_000):
        ingest.post(shop.hub("log"), content=b"x" * size)
    assert read_waiting() == Waiting(100_010, InboxReport.objects.earliest("received_at").received_at)


def test_a_large_inbox_is_judged_by_a_part_of_it(shop: Reporter) -> None:
    """Of 60 000 rows in some 2 800 pages, a fifth is read; the sum is near the truth, the age exact."""
    _fill_inbox(shop, 60_000, size=300)
    waiting = read_waiting()
    assert 0.75 < waiting.bytes / (60_000 * 300) < 1.25
    assert waiting.oldest_at == InboxReport.objects.earliest("received_at").received_at
    assert _pages_read(BYTES) < 1_000 < _pages_read("SELECT sum(octet_length(body)) FROM analytics_inboxreport")
    assert _pages_read(OLDEST) < 20


FILL = """
INSERT INTO analytics_inboxreport (app_id, kind, environment, message_id, is_json, received_at, body)
SELECT %s, 2, 'dev', '', false, now() + n * interval '1 ms', convert_to(repeat('x', %s), 'UTF8')
  FROM generate_series(1, %s) AS n
"""


def _fill_inbox(shop: Reporter, count: int, *, size: int) -> None:
    with connection.cursor() as cursor:
        cursor.execute(FILL, [shop.app.pk, size, count])
        cursor.execute("ANALYZE analytics_inboxreport")


def _pages_read(statement: str) -> int:
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {statement}")
        ((plan,),) = cursor.fetchone()
    return int(plan["Plan"]["Shared Hit Blocks"] + plan["Plan"]["Shared Read Blocks"])
