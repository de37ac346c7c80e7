"""Exactly once, whatever happens: workers at once, killed anywhere, the same reports again and again in any order."""

import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.db import connection
from django.db.backends.utils import CursorWrapper

from analytics.models import App, Consumer, Endpoint, InboxReport, RejectedReport, ReportIdentity, RequestLog, Source
from analytics.observations import ConsumerTold, Observed
from tests.analytics.reporting import (
    MINUTE,
    NOW,
    body,
    call,
    file,
    filed,
    ingest,
    new_app,
    observed,
    receive,
    request,
    told,
    traffic,
)
from tests.cast import Tenant
from tests.live_server import store_environment

TORTURE_S = float(os.environ.get("LIMITLY_TORTURE_SECONDS", "6"))


def busy(number: int) -> Observed:
    """Names that other reports share, so that they meet in rows, and names of its own."""
    names = [call(f"/{n}", consumer=f"u{number % 5}") for n in range(4)] + [
        call(f"/own/{number}", consumer=str(number))
    ]
    said = [traffic(number + n + 1, of=of, at=NOW - n * 7 * MINUTE) for n, of in enumerate(names)]
    words = [ConsumerTold(f"u{number % 5}", NOW + number * MINUTE, name=f"name {number}")]
    return observed(*said, instance=f"i{number % 3}", requests=[request(number + 1, of=names[0])], consumers=words)


# --- killed at every statement ------------------------------------------------------------------------------------
def in_a_fork(kill_at: int, *, is_before: bool = False, work: Callable[[], object] = ingest) -> int:
    """Works in a child that SIGKILLs itself after (or before) its so manieth statement; the signal it ended by."""
    connection.close()  # a child that shared it would end the parent's session with its own
    child = os.fork()
    if child == 0:
        _kill_self_at(kill_at, is_before)
        try:
            work()
        finally:
            os._exit(0)
    _, status = os.waitpid(child, 0)
    return os.WTERMSIG(status)


def _kill_self_at(number: int, is_before: bool) -> None:
    execute = CursorWrapper.execute
    seen = [0]

    def fatal(self: CursorWrapper, sql: Any, params: Any = None) -> Any:
        seen[0] += 1
        if is_before and seen[0] == number:
            os.kill(os.getpid(), signal.SIGKILL)
        result = execute(self, sql, params)
        if seen[0] == number:
            os.kill(os.getpid(), signal.SIGKILL)
        return result

    CursorWrapper.execute = fatal  # type: ignore[method-assign]


def test_a_worker_killed_at_any_statement_loses_nothing_and_doubles_nothing(alice: Tenant) -> None:
    app = new_app(alice)
    receive(app, body(busy(0)))
    ingest()
    said, killed = [busy(0)], 0
    for number in range(1, 200):
        said += [busy(number), busy(number + 1000)]
        receive(app, body(said[-1]), body(said[-2]), body(said[-3]))
        if in_a_fork(number) != signal.SIGKILL:
            break
        killed += 1
        ingest()
    receive(app, body(busy(5000)))
    assert in_a_fork(killed, is_before=True) == signal.SIGKILL  # its last: filed, and the claim not yet given back
    ingest()
    assert killed > 20
    assert filed() == told(app, [*said, busy(5000)])
    assert RequestLog.objects.count() == len(said) + 1 == ReportIdentity.objects.count()
    assert (InboxReport.objects.count(), RejectedReport.objects.count()) == (0, 0)


# --- at once ------------------------------------------------------------------------------------------------------
def in_threads(*work: Any) -> None:
    """Each with a connection of its own; what one raises, is raised."""
    failures: list[BaseException] = []

    def run(each: Any) -> None:
        try:
            each()
        except BaseException as failure:  # noqa: BLE001  # raised below
            failures.append(failure)
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=(each,)) for each in work]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for failure in failures:
        raise failure


def test_workers_at_once_count_each_report_once(alice: Tenant, bob: Tenant) -> None:
    apps = [new_app(alice), new_app(bob)]
    said = [busy(number) for number in range(60)]
    sent = [(app, body(each)) for app in apps for each in said] * 3
    random.shuffle(sent)

    def send(part: list[tuple[App, bytes]]) -> None:
        for app, each in part:
            receive(app, each)

    def work() -> None:
        while not is_sent.wait(0.01):
            ingest()
        ingest()

    is_sent = threading.Event()
    workers = [threading.Thread(target=in_threads, args=(work,)) for _ in range(3)]
    for worker in workers:
        worker.start()
    in_threads(*(lambda part=sent[start::2]: send(part) for start in range(2)))
    is_sent.set()
    for worker in workers:
        worker.join()
    ingest()  # what a worker left to another that was just leaving
    assert filed() == told(apps[0], said) | told(apps[1], said)
    assert (InboxReport.objects.count(), RejectedReport.objects.count()) == (0, 0)


def test_reports_and_folded_decisions_of_one_app_at_once_are_both_whole(alice: Tenant) -> None:
    app = new_app(alice)
    said = [busy(number) for number in range(40)]
    decisions = [observed(traffic(1, of=call("/0", consumer="u1"), source=Source.DECISION), instance="")] * 40
    receive(app, *map(body, said))

    def fold() -> None:
        for each in decisions:
            file(app, each)

    in_threads(ingest, fold, ingest)
    ingest()
    assert filed() == told(app, [*said, *decisions])


@pytest.mark.parametrize("limit", [3, 7])
def test_at_once_an_app_gets_no_name_beyond_its_limits(alice: Tenant, limit: int, settings: Any) -> None:
    settings.LIMITLY_APP_CONSUMERS_MAX = limit
    settings.LIMITLY_APP_ENDPOINTS_MAX = limit
    app = new_app(alice)
    file_observed_of = [observed(traffic(1, of=call(f"/{n}", consumer=f"u{n}"))) for n in range(16)]
    ingest()

    def file_each_alone(part: list[Observed]) -> None:
        for each in part:
            file(app, each)

    file_each_alone(file_observed_of[:1])
    in_threads(*(lambda part=file_observed_of[start::4]: file_each_alone(part) for start in range(4)))
    assert Consumer.objects.count() == limit
    assert Endpoint.objects.exclude(path="/{other}").count() == limit
    assert sum(amounts[0] for amounts in filed().values()) == 17


# --- killed at random ---------------------------------------------------------------------------------------------
class Workers:
    """Three processes that ingest; one that is killed is replaced."""

    def __init__(self) -> None:
        self.processes = [self._start() for _ in range(3)]

    def _start(self) -> "subprocess.Popen[str]":
        command = [sys.executable, "-m", "tests.analytics.ingest_process", str(TORTURE_S + 60)]
        return subprocess.Popen(command, env=store_environment(), stdout=subprocess.PIPE, text=True)

    def kill_one(self) -> None:
        victim = random.randrange(len(self.processes))
        self._kill(self.processes[victim])
        self.processes[victim] = self._start()

    def wait_until_at_work(self) -> None:
        for process in self.processes:
            assert process.stdout is not None
            assert process.stdout.readline() == "at work\n"

    def end(self) -> None:
        while self.processes:
            self._kill(self.processes.pop())

    def _kill(self, process: "subprocess.Popen[str]") -> None:
        process.kill()
        process.communicate()


@pytest.fixture
def workers(stores: object) -> Iterator[Workers]:
    started = Workers()
    yield started
    started.end()


@pytest.mark.torture
def test_nothing_is_lost_or_doubled_while_workers_are_killed(alice: Tenant, bob: Tenant, workers: Workers) -> None:
    """No report is killed three times, for then it is given up: who was attempted twice is waited for."""
    apps = [new_app(alice), new_app(bob)]
    said: list[Observed] = []
    kills = 0
    workers.wait_until_at_work()
    ends = time.monotonic() + TORTURE_S
    while time.monotonic() < ends:
        said += [busy(len(said) + number) for number in range(20)]
        sent = [(app, body(each)) for app in apps for each in [*said[-20:], *random.sample(said, 10)]]
        for app, each in random.sample(sent, len(sent)):
            receive(app, each)
        time.sleep(random.uniform(0.0, 0.2))
        if not InboxReport.objects.filter(attempts__gt=1).exists():
            workers.kill_one()
            kills += 1
    workers.end()
    ingest()
    assert kills > 0
    assert filed() == told(apps[0], said) | told(apps[1], said)
    assert (InboxReport.objects.count(), RejectedReport.objects.count()) == (0, 0)
    assert RequestLog.objects.count() == 2 * len(said)
