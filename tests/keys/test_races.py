"""Exact numbers under real concurrency: 32 threads in several processes, against web processes of their own."""

import threading
import time
from collections.abc import Iterator

import pytest
from django.utils import timezone

from keys import services as keys
from keys.ledger.checking import check_ledger
from keys.ledger.drain import drain_all
from keys.models import Decision, Outcome, UsageWindow
from plans import services as plans
from tests.cast import BY, Tenant
from tests.hammer import Answered, Orders, collect, send
from tests.live_server import LiveServer, serve

PROCESSES, THREADS = 4, 8
LIMIT = 1000


@pytest.fixture(scope="module")
def second_server(_server: LiveServer) -> Iterator[LiveServer]:
    with serve() as server:
        yield server


def _hammer(servers: list[LiveServer], tenant: Tenant, secrets: list[str], *, cost: int = 1) -> list[Answered]:
    """All processes at once, each thread until it was denied three times."""
    sent = [
        send(
            Orders(
                servers[number % len(servers)].url,
                tenant.secret,
                secrets,
                THREADS,
                f"p{number}",
                cost,
                denials=3,
            )
        )
        for number in range(PROCESSES)
    ]
    return [collect(process) for process in sent]


def _decisions(outcome: Outcome) -> int:
    return Decision.objects.filter(outcome=outcome).count()


def test_a_limit_of_1000_admits_exactly_1000(server: LiveServer, second_server: LiveServer, alice: Tenant) -> None:
    key = alice.key(plan=alice.plan(LIMIT))
    answers = _hammer([server, second_server], alice, [key.secret])
    remaining = sorted(call.remaining for answered in answers for call in answered.allowed)
    denied = sum(len(answered.calls) - len(answered.allowed) for answered in answers)
    drain_all(for_s=30)
    assert [answered.others for answered in answers] == [{}] * PROCESSES
    assert remaining == list(range(LIMIT))
    assert denied == PROCESSES * THREADS * 3
    assert (_decisions(Outcome.ALLOWED), _decisions(Outcome.OVER_QUOTA)) == (LIMIT, denied)
    assert check_ledger().differences == []


def test_five_keys_of_one_user_share_1000(server: LiveServer, second_server: LiveServer, alice: Tenant) -> None:
    user = alice.user(alice.plan(LIMIT))
    secrets = [alice.key(user=user).secret for _ in range(5)]
    answers = _hammer([server, second_server], alice, secrets)
    remaining = sorted(call.remaining for answered in answers for call in answered.allowed)
    drain_all(for_s=30)
    assert remaining == list(range(LIMIT))
    assert sum(UsageWindow.objects.values_list("units_allowed", flat=True)) == LIMIT
    assert UsageWindow.objects.count() == 5
    assert check_ledger().differences == []


def test_with_a_cost_of_7_exactly_142_are_admitted(
    server: LiveServer, second_server: LiveServer, alice: Tenant
) -> None:
    key = alice.key(plan=alice.plan(LIMIT))
    answers = _hammer([server, second_server], alice, [key.secret], cost=7)
    remaining = sorted(call.remaining for answered in answers for call in answered.allowed)
    drain_all(for_s=30)
    assert remaining == [LIMIT - 7 * number for number in range(142, 0, -1)]
    assert _decisions(Outcome.ALLOWED) == 142
    assert check_ledger().differences == []


def test_a_plan_lowered_and_raised_meanwhile_ends_at_its_last_limit(
    server: LiveServer, second_server: LiveServer, alice: Tenant
) -> None:
    plan = alice.plan(LIMIT)
    key = alice.key(user=alice.user(plan))
    orders = [
        Orders(url, alice.secret, [key.secret], THREADS, f"p{number}", seconds=3.0)
        for number, url in enumerate([server.url, second_server.url] * 2)
    ]
    sent = [send(each) for each in orders]
    for limit in (600, 300, 1200, 800, LIMIT):
        time.sleep(0.4)
        plans.update_plan(plan, by=BY, max_requests=limit)
    answers = [collect(process) for process in sent]
    allowed = sum(len(answered.allowed) for answered in answers)
    drain_all(for_s=30)
    assert LIMIT <= allowed <= 1200
    assert _decisions(Outcome.ALLOWED) == allowed == UsageWindow.objects.get().units_allowed
    assert _decisions(Outcome.OVER_QUOTA) == sum(len(answered.calls) for answered in answers) - allowed
    assert check_ledger().differences == []


def test_after_a_revocation_has_returned_no_call_passes(
    server: LiveServer, second_server: LiveServer, alice: Tenant
) -> None:
    """Again and again, cold and warm, with fills under way: what cache-aside loses."""
    for attempt in range(10):
        key = alice.key(plan=alice.plan(1_000_000))
        orders = [
            Orders(url, alice.secret, [key.secret], 8, f"r{attempt}", denials=1, seconds=8)
            for url in (server.url, second_server.url)
        ]
        sent = [send(each) for each in orders]
        time.sleep(0.25)
        keys.delete_api_key(key.api_key, now=timezone.now(), by=BY)
        returned = time.time()
        for process in sent:
            answered = collect(process)
            assert [call for call in answered.calls if call.asked > returned] == []
            assert answered.others == {"404": 8}


def test_drains_at_once_file_each_event_once(server: LiveServer, alice: Tenant) -> None:
    key = alice.key(plan=alice.plan(-1))
    hammer = send(Orders(server.url, alice.secret, [key.secret], 8, seconds=3.0))
    drains = [threading.Thread(target=_drain_for, args=(4.0,)) for _ in range(3)]
    for drain in drains:
        drain.start()
    answered = collect(hammer)
    for drain in drains:
        drain.join()
    drain_all(for_s=10)
    assert Decision.objects.count() == len(answered.calls)
    assert UsageWindow.objects.get().calls_allowed == len(answered.calls)
    assert check_ledger().differences == []


def _drain_for(seconds: float) -> None:
    from django.db import connection

    ends = time.monotonic() + seconds
    while time.monotonic() < ends:
        drain_all(for_s=1, batch=200)
    connection.close()
