"""Exact numbers where staff adjust a window while it is being spent: from several processes, with drains beside."""

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from uuid import UUID, uuid4

from django.db import connection

from keys.adjusting import NotAdjusted
from keys.ledger.checking import check_ledger
from keys.ledger.drain import drain_all
from keys.models import Adjustment, AdjustmentKind, Decision, Outcome, UsageWindow
from tests.cast import Tenant
from tests.hammer import Answered, Orders, collect, send
from tests.keys.adjustments import grant, reset, standing, take
from tests.live_server import LiveServer

PROCESSES, THREADS, LIMIT = 2, 8, 300


def _in_thread(work: Callable[[], object]) -> threading.Thread:
    def run() -> None:
        try:
            work()
        finally:
            connection.close()

    thread = threading.Thread(target=run)
    thread.start()
    return thread


def _hammer_while(server: LiveServer, tenant: Tenant, secret: str, work: Callable[[], object]) -> int:
    """How many calls were allowed until the work was done and each thread was denied after that."""
    orders = [
        Orders(server.url, tenant.secret, [secret], THREADS, f"a{number}", seconds=6.0) for number in range(PROCESSES)
    ]
    sent = [send(each) for each in orders]
    time.sleep(0.5)
    threads = [_in_thread(work), _in_thread(lambda: _drain_for(3.0))]
    answers: list[Answered] = [collect(process) for process in sent]
    for thread in threads:
        thread.join()
    drain_all(for_s=30)
    assert [answered.others for answered in answers] == [{}] * PROCESSES
    return sum(len(answered.allowed) for answered in answers)


def _drain_for(seconds: float) -> None:
    ends = time.monotonic() + seconds
    while time.monotonic() < ends:
        drain_all(for_s=1, batch=100)


def test_grants_meanwhile_admit_exactly_limit_and_granted(server: LiveServer, alice: Tenant) -> None:
    """Each sent twice at once, by two threads."""
    user = alice.user(alice.plan(LIMIT))
    key = alice.key(user=user)

    def grant_ten_times() -> None:
        for _ in range(10):
            request = uuid4()
            twins = [_in_thread(lambda request=request: grant(user, 50, request_id=request)) for _ in range(2)]  # type: ignore[misc]
            for twin in twins:
                twin.join()
            time.sleep(0.1)

    allowed = _hammer_while(server, alice, key.secret, grant_ten_times)
    assert allowed == LIMIT + 500
    assert Decision.objects.filter(outcome=Outcome.ALLOWED).count() == LIMIT + 500
    assert sorted(Adjustment.objects.values_list("amount", flat=True)) == [-50] * 10
    assert UsageWindow.objects.get(key_id=0).units_adjusted == -500
    assert standing(user).granted == 500
    assert check_ledger().differences == []


def test_resets_meanwhile_give_back_exactly_what_they_took(server: LiveServer, alice: Tenant) -> None:
    user = alice.user(alice.plan(LIMIT))
    key = alice.key(user=user)
    taken: list[int] = []

    def reset_and_grant() -> None:
        for _ in range(6):
            while not standing(user).spent:
                time.sleep(0.02)
            taken.append(-reset(user).amount)
            grant(user, 10)
            time.sleep(0.15)

    allowed = _hammer_while(server, alice, key.secret, reset_and_grant)
    assert all(amount > 0 for amount in taken)
    assert allowed == LIMIT + 60 + sum(taken)
    assert UsageWindow.objects.get(key_id=0).units_adjusted == -60 - sum(taken)
    assert standing(user).spent == LIMIT + 60
    assert check_ledger().differences == []


def test_what_is_taken_back_meanwhile_is_what_was_not_spent(server: LiveServer, alice: Tenant) -> None:
    """Each sent twice at once, by two threads: no unit is both spent and taken back."""
    user = alice.user(alice.plan(LIMIT))
    key = alice.key(user=user)

    def take_once(request: UUID) -> None:
        with suppress(NotAdjusted):  # all of it was spent before
            take(user, request_id=request)

    def grant_and_take() -> None:
        for _ in range(8):
            grant(user, 200)
            time.sleep(0.03)
            request = uuid4()
            twins = [_in_thread(lambda request=request: take_once(request)) for _ in range(2)]  # type: ignore[misc]
            for twin in twins:
                twin.join()

    allowed = _hammer_while(server, alice, key.secret, grant_and_take)
    taken = list(Adjustment.objects.filter(kind=AdjustmentKind.TAKE).values_list("amount", flat=True))
    assert all(amount > 0 for amount in taken)
    assert taken
    assert allowed == LIMIT + 1600 - sum(taken)
    assert standing(user).granted == 1600 - sum(taken)
    assert standing(user).spent == allowed
    assert UsageWindow.objects.get(key_id=0).units_adjusted == sum(taken) - 1600
    assert check_ledger().differences == []
