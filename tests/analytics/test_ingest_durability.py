"""What was answered 2xx is in the inbox, whatever ends the web process; and what is thrown at it does not swell it."""

import asyncio
import os
import signal
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx
import psycopg
import pytest

from analytics.ingest import inbox
from analytics.models import InboxReport
from tests.analytics.reporters import Ingest, Reporter, bodies, database, new_reporter, wait_for_a_blocked_report
from tests.analytics.watching import Watch, processes, resident_bytes
from tests.cast import Tenant
from tests.live_server import LiveServer, serve

MIB = 1024 * 1024


@pytest.fixture
def victim(stores: object) -> Iterator[LiveServer]:
    """A server of this test's own, to kill."""
    with serve() as server:
        yield server


# --- killed -------------------------------------------------------------------------------------------------------
def test_a_killed_web_process_loses_nothing_that_it_answered(victim: LiveServer, alice: Tenant) -> None:
    reporters = [new_reporter(alice) for _ in range(8)]
    answered: list[bytes] = []
    enough = threading.Event()

    def send_until_it_dies(number: int) -> None:
        with httpx.Client(timeout=10) as client:
            for each in range(100_000):
                body = f"{number} {each} ".encode() * 400
                try:
                    answer = client.post(victim.url + reporters[number].hub("log"), content=body)
                except httpx.TransportError:
                    return
                if answer.status_code == 202:
                    answered.append(body)
                if len(answered) >= 200:
                    enough.set()

    with ThreadPoolExecutor(8) as senders:
        sending = [senders.submit(send_until_it_dies, number) for number in range(8)]
        assert enough.wait(60)
        for pid in reversed(processes(victim.process.pid)):
            os.kill(pid, signal.SIGKILL)
        for each in sending:
            each.result(60)
    filed = Counter(bodies())
    assert [body for body in answered if filed[body] != 1] == []


def test_who_waits_too_long_is_told_503_and_the_writer_goes_on(
    ingest: Ingest, shop: Reporter, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was under way may be in the inbox all the same; what still waited in line is not sent any more."""
    assert ingest.post(shop.hub("sync"), content=b"warm").status_code == 202
    monkeypatch.setattr(inbox, "ANSWER_WITHIN_S", 0.2)
    with psycopg.connect(**database()) as lock:
        lock.execute("LOCK TABLE analytics_inboxreport IN ACCESS EXCLUSIVE MODE")
        under_way = ingest.portal.start_task_soon(ingest.send, shop.hub("sync"), {}, b"under way")
        wait_for_a_blocked_report()
        in_line = ingest.portal.start_task_soon(ingest.send, shop.hub("sync"), {}, b"in line")
        assert [each.result().status_code for each in (under_way, in_line)] == [503, 503]
        lock.rollback()
    monkeypatch.undo()
    assert ingest.post(shop.hub("sync"), content=b"after").status_code == 202
    assert bodies() == [b"warm", b"under way", b"after"]


def test_a_report_that_is_refused_takes_no_neighbour_along(ingest: Ingest, alice: Tenant) -> None:
    """Two wait for one statement; the app of the first is gone since its credential was looked up."""
    gone, stays = new_reporter(alice), new_reporter(alice)
    assert [ingest.post(each.hub("sync"), content=b"1").status_code for each in (gone, stays)] == [202, 202]
    InboxReport.objects.all().delete()
    with psycopg.connect(**database()) as lock:
        lock.execute("LOCK TABLE analytics_inboxreport IN ACCESS EXCLUSIVE MODE")
        sent = [ingest.portal.start_task_soon(ingest.send, stays.hub("sync"), {}, b"2")]
        wait_for_a_blocked_report()
        sent += [ingest.portal.start_task_soon(ingest.send, each.hub("sync"), {}, b"3") for each in (gone, stays)]
        while len(ingest.app._inbox._waiting) < 2:
            ingest.portal.call(asyncio.sleep, 0.001)
        gone.write_token.delete()
        lock.execute("DELETE FROM analytics_app WHERE id = %s", [gone.app.pk])
        lock.commit()
    assert [each.result().status_code for each in sent] == [202, 500, 202]
    assert bodies() == [b"2", b"3"]


# --- swollen ------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("is_told", [True, False])
def test_a_hundred_large_bodies_cost_less_than_64_mib(victim: LiveServer, shop: Reporter, is_told: bool) -> None:
    """Forty senders throw a hundred bodies of 4 MiB, at once and again: most are told to come later."""
    body = os.urandom(4 * MIB)

    def send(_: int) -> int:
        content = body if is_told else iter([body[at : at + 65_536] for at in range(0, len(body), 65_536)])
        return httpx.post(f"{victim.url}/v1/traces", headers=shop.headers(), content=content, timeout=60).status_code

    for _ in range(20):
        httpx.post(f"{victim.url}/v1/traces", headers=shop.headers(), content=b"warm")
    before = resident_bytes(victim)
    with Watch(victim) as watch, ThreadPoolExecutor(40) as senders:
        statuses = Counter(senders.map(send, range(100)))
    assert watch.most_bytes - before < 64 * MIB
    assert set(statuses) <= {200, 503}
    assert InboxReport.objects.count() - 20 >= statuses[200] > 0  # a slow disk may keep what it was late to confirm
    assert httpx.post(f"{victim.url}/v1/traces", headers=shop.headers(), content=b"after").status_code == 200
