"""What Redis can do to us while calls come in: stall, restart whole, lose everything, come back as an older self.

Each test has a Valkey of its own to ill-treat, a web process on it, and drains that are killed anywhere.
"""

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import httpx
import pytest
import redis
from django.conf import settings
from django.utils import timezone
from redis.backoff import NoBackoff
from redis.retry import Retry

from keys import redis as keys_redis
from keys.ledger.checking import check_ledger
from keys.ledger.drain import drain_all
from keys.ledger.lag import read_lag
from keys.models import ApiKey, Decision, UsageWindow
from limitly_site.stores import Binaries
from tests.cast import IssuedKey, Tenant, new_tenant
from tests.hammer import Answered, Call, Orders, collect, send
from tests.live_server import LiveServer, serve, store_environment
from tests.store_redis import StoreRedis

FAULTS_FOR_S = float(os.environ.get("LIMITLY_TORTURE_SECONDS", "20"))
LIMIT = 30
# Limits of the tormented keys: low ones are reached on any machine, high ones have something to lose until the end.
LIMITS = (4, 60)


class Valkey:
    """A server that can be stopped, killed and brought back. It writes a dump where it is told to."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.socket = folder / "valkey.sock"
        self.dump = folder / "dump.rdb"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"unix://{self.socket}?db=0"

    @property
    def client(self) -> StoreRedis:
        never = Retry(NoBackoff(), 0)
        return cast(StoreRedis, redis.Redis(unix_socket_path=str(self.socket), decode_responses=True, retry=never))

    def start(self) -> None:
        options = ["--port", "0", "--unixsocket", str(self.socket), "--dir", str(self.folder), "--save", ""]
        command = [str(Binaries.installed(for_root=False).valkey_server), *options, "--appendonly", "no"]
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        self._wait_until_up()

    def kill(self) -> None:
        self.signal(signal.SIGKILL)
        self._wait()

    def stop_whole(self) -> None:
        """All that was decided is in the dump."""
        self.client.shutdown(save=True)
        self._wait()

    def signal(self, number: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    def _wait(self) -> None:
        assert self._process is not None
        self._process.wait(10)
        self.socket.unlink(missing_ok=True)

    def _wait_until_up(self) -> None:
        for _ in range(200):
            try:
                if self.client.ping():
                    return
            except redis.RedisError:
                time.sleep(0.02)
        raise TimeoutError("valkey does not start")


@pytest.fixture
def valkey(stores: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Valkey]:
    """In force for this process as well, until the test ends."""
    folder = Path("/tmp") / f"limitly-faults-{os.getpid()}"  # noqa: S108  # a socket's path must be short
    folder.mkdir()
    server = Valkey(folder)
    server.start()
    monkeypatch.setattr(settings, "REDIS_URL", server.url)
    keys_redis.client.cache_clear()
    yield server
    server.kill()
    keys_redis.client().close()
    keys_redis.client.cache_clear()
    shutil.rmtree(folder)


@pytest.fixture
def web(valkey: Valkey) -> Iterator[LiveServer]:
    with serve() as server:
        yield server


def _validate(web: LiveServer, tenant: Tenant, key: IssuedKey) -> httpx.Response:
    body = {"api_key": key.secret, "endpoint": "/o", "method": "GET"}
    return httpx.post(f"{web.url}/v1/validate", headers=tenant.headers, json=body, timeout=5)


def test_a_stalled_redis_is_503_within_a_second_and_charges_at_most_once(valkey: Valkey, web: LiveServer) -> None:
    alice = new_tenant("Alice")
    key = alice.key(plan=alice.plan(LIMIT))
    _validate(web, alice, key)
    valkey.signal(signal.SIGSTOP)
    began = time.monotonic()
    answers = [_validate(web, alice, key) for _ in range(3)]
    took_s = time.monotonic() - began
    valkey.signal(signal.SIGCONT)
    time.sleep(0.2)
    after = _validate(web, alice, key).json()["details"]["current_usage"]
    assert [answer.status_code for answer in answers] == [503] * 3
    assert answers[0].json() == {
        "success": False, "error": "No decision could be made in time", "code": "SERVICE_UNAVAILABLE",
    }  # fmt: skip
    assert answers[0].headers["Retry-After"] == "1"
    assert took_s < 3
    assert 2 <= after <= 2 + 3


def test_while_redis_is_gone_the_answer_is_503_and_then_decisions_go_on(valkey: Valkey, web: LiveServer) -> None:
    alice = new_tenant("Alice")
    key = alice.key(plan=alice.plan(LIMIT))
    _validate(web, alice, key)
    valkey.stop_whole()
    began = time.monotonic()
    assert _validate(web, alice, key).status_code == 503
    assert time.monotonic() - began < 1
    valkey.start()
    assert _validate(web, alice, key).json()["details"]["current_usage"] == 2


def test_an_emptied_redis_goes_on_from_the_ledger(valkey: Valkey, web: LiveServer) -> None:
    alice = new_tenant("Alice")
    key = alice.key(plan=alice.plan(LIMIT))
    for _ in range(5):
        _validate(web, alice, key)
    drain_all(for_s=5)
    valkey.client.flushall()
    assert _validate(web, alice, key).json()["details"]["current_usage"] == 6
    assert check_ledger().differences == []


class Chaos:
    """One fault after the other until its time is up; remembers when decisions may have been lost."""

    def __init__(self, valkey: Valkey, seed: int) -> None:
        self._valkey = valkey
        self._random = random.Random(seed)
        self.faults: Counter[str] = Counter()
        self.losses: list[tuple[float, float]] = []
        self._drains = [self._start_drain(), self._start_drain()]

    def rage(self, seconds: float) -> None:
        ends = time.monotonic() + seconds
        while time.monotonic() < ends:
            fault = self._random.choice([self._older, self._older, self._whole, self._empty, self._flush])
            fault()
            self._kill_a_drain()
            time.sleep(self._random.uniform(0.3, 0.9))
        for drain in self._drains:
            drain.kill()
            drain.wait()

    def _whole(self) -> None:
        self._valkey.stop_whole()
        self._valkey.start()
        self.faults["whole restart"] += 1

    def _older(self) -> None:
        """Killed some time after its last dump, and brought back as that."""
        began = time.time()
        self._valkey.client.save()
        time.sleep(self._random.uniform(0.1, 0.6))
        self._lose("older dump", since=began)

    def _empty(self) -> None:
        self._valkey.dump.unlink(missing_ok=True)
        self._lose("empty restart", since=_undrained_since())

    def _flush(self) -> None:
        began = _undrained_since()
        self._valkey.client.flushall()
        self.losses.append((began, time.time()))
        self.faults["FLUSHALL"] += 1

    def _lose(self, name: str, *, since: float) -> None:
        self._valkey.kill()
        self.losses.append((since, time.time()))
        self._valkey.start()
        self.faults[name] += 1

    def _kill_a_drain(self) -> None:
        victim = self._random.randrange(2)
        self._drains[victim].kill()
        self._drains[victim].wait()
        self._drains[victim] = self._start_drain()
        self.faults["drain killed"] += 1

    def _start_drain(self) -> "subprocess.Popen[bytes]":
        command = [sys.executable, "-c", DRAIN]
        return subprocess.Popen(command, env=store_environment(), stderr=subprocess.DEVNULL)


def _undrained_since() -> float:
    """Of the oldest event that is not in the ledger, in Unix seconds: no older one can be lost with Redis."""
    now = timezone.now()
    return now.timestamp() - read_lag(now).seconds


# As the task does, but without a pause, in small batches, and through every failure of the server.
DRAIN = """
import os, time
os.environ["DJANGO_SETTINGS_MODULE"] = "limitly_site.settings"
import django; django.setup()
from redis.exceptions import RedisError
from keys.ledger.drain import drain_all
from keys.ledger.lag import read_lag
while True:
    try:
        drain_all(for_s=1, batch=300)
    except RedisError:
        time.sleep(0.02)
    time.sleep(0.01)
"""


def _torment(web: LiveServer, chaos: Chaos) -> tuple[list[Tenant], list[Answered]]:
    """Two tenants' keys, hammered by two processes while Redis and the drains suffer."""
    tenants = [new_tenant("Alice"), new_tenant("Bob")]
    sent = []
    for tenant in tenants:
        plans = [tenant.plan(limit, "day") for limit in LIMITS]
        secrets = [tenant.key(plan=plan).secret for _ in range(20) for plan in plans]
        sent.append(
            send(
                Orders(
                    web.url,
                    tenant.secret,
                    secrets,
                    3,
                    tenant.account.name,
                    seconds=FAULTS_FOR_S,
                    pause_s=0.002,
                )
            )
        )
    chaos.rage(FAULTS_FOR_S - 1)
    return tenants, [collect(process, FAULTS_FOR_S + 60) for process in sent]


def _missing(tenants: list[Tenant], answers: list[Answered]) -> list[Call]:
    """The calls that were answered and whose event is not in the ledger."""
    missing = []
    for tenant, answered in zip(tenants, answers, strict=True):
        filed = set(Decision.objects.filter(account_id=tenant.account.pk).values_list("endpoint", flat=True))
        missing += [call for call in answered.calls if call.endpoint not in filed]
    return missing


def _may_be_lost(call: Call, since: float, until: float) -> bool:
    return call.asked <= until and call.answered >= since


def _most_used(limit: int) -> int:
    api_keys = ApiKey.objects.filter(plan__max_requests=limit).values("pk")
    return max(UsageWindow.objects.filter(key_id__in=api_keys).values_list("units_allowed", flat=True))


@pytest.mark.torture
def test_nothing_is_over_its_limit_twice_or_lost_but_what_redis_lost(valkey: Valkey, web: LiveServer) -> None:
    chaos = Chaos(valkey, seed=random.randrange(2**32))
    tenants, answers = _torment(web, chaos)
    drain_all(for_s=30)
    endpoints = Counter(Decision.objects.values_list("account_id", "endpoint"))
    lost = _missing(tenants, answers)
    unexplained = [call for call in lost if not any(_may_be_lost(call, *loss) for loss in chaos.losses)]
    print(f"{dict(chaos.faults)}, {sum(len(a.calls) for a in answers)} answered, {len(lost)} lost with Redis")
    assert sum(chaos.faults.values()) >= 10
    assert _most_used(LIMITS[0]) == LIMITS[0]  # reached, and not exceeded
    assert _most_used(LIMITS[1]) <= LIMITS[1]
    assert [endpoint for endpoint, count in endpoints.items() if count > 1] == []
    assert unexplained == []
    assert check_ledger().differences == []
