"""No decision is folded twice or left out, whoever folds beside, and wherever a fold is killed."""

import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime

from django.db import connection
from django.utils import timezone

from accounts.secrets import Bucket
from analytics import services
from analytics.models import App
from analytics.rollup.folding import fold_bucket, fold_decisions
from keys.ledger.drain import drain_all
from keys.models import Decision
from tests.analytics.folds import decide, is_folded, request_logs, traffic
from tests.cast import BY, Tenant
from tests.live_server import store_environment
from tests.store_redis import StoreRedis

NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)
# A fold that kills itself, without a word, before the statement of the number that it is given.
FOLD = """
import os, signal, sys
os.environ["DJANGO_SETTINGS_MODULE"] = "limitly_site.settings"
import django; django.setup()
from django.db import connection
from django.utils import timezone
from analytics.rollup.folding import fold_decisions
statements = 0
def count(execute, *given):
    global statements
    statements += 1
    if statements == int(sys.argv[1]):
        os.kill(os.getpid(), signal.SIGKILL)
    return execute(*given)
with connection.execute_wrapper(count):
    fold_decisions(for_s=60, now=timezone.now(), batch=4)
"""


def _decide(stores: StoreRedis, *tenants: Tenant, count: int) -> None:
    for number in range(count):
        for place, tenant in enumerate(tenants):  # perhaps of one bucket: no two are of one place
            decide(stores, tenant, NOON, 2 * number + place, endpoint=f"/page{number % 3}", user_id=1 + number % 2)
    drain_all(for_s=20)


def _fold_the_rest() -> None:
    """A killed fold's locks end when PostgreSQL notices."""
    for _ in range(300):
        fold_decisions(for_s=60, now=timezone.now())
        if is_folded():
            return
        time.sleep(0.1)
    raise TimeoutError("something holds the positions")


def _at_once(*works: Callable[[], object]) -> None:
    ready = threading.Barrier(len(works))

    def run(work: Callable[[], object]) -> None:
        ready.wait(30)
        work()
        connection.close()

    threads = [threading.Thread(target=run, args=[work]) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)


def _assert_exact(*tenants: Tenant, count: int) -> None:
    for tenant in tenants:
        assert sum(request_logs(tenant.account).values()) == count
        assert traffic(tenant.account) == request_logs(tenant.account)
        assert App.objects.filter(account=tenant.account).count() == 1
    assert Decision.objects.count() == count * len(tenants)


def test_a_fold_that_is_killed_anywhere_changes_no_number(stores: StoreRedis, alice: Tenant, bob: Tenant) -> None:
    _decide(stores, alice, bob, count=14)
    ends = []
    for statement in (random.randint(2, 20), *random.sample(range(20, 200), 4)):
        command = [sys.executable, "-c", FOLD, str(statement)]
        killed = subprocess.run(command, env=store_environment(), capture_output=True, text=True, check=False)
        assert killed.returncode in (0, -signal.SIGKILL), killed.stderr
        ends.append(killed.returncode)
    assert ends[0] == -signal.SIGKILL
    _fold_the_rest()
    _assert_exact(alice, bob, count=14)


def test_two_folds_at_once_fold_each_decision_once(stores: StoreRedis, alice: Tenant, bob: Tenant) -> None:
    _decide(stores, alice, bob, count=20)

    def fold() -> None:
        fold_decisions(for_s=60, now=timezone.now(), batch=3)

    _at_once(fold, fold, fold)
    _fold_the_rest()
    _assert_exact(alice, bob, count=20)


def test_a_bucket_that_another_folds_is_left_to_it(stores: StoreRedis, alice: Tenant) -> None:
    _decide(stores, alice, count=2)
    held, done = threading.Event(), threading.Event()

    def hold() -> None:
        with connection.cursor() as cursor:
            cursor.execute("BEGIN")
            cursor.execute("SELECT 1 FROM analytics_foldposition FOR UPDATE")
            held.set()
            done.wait(60)
            cursor.execute("ROLLBACK")
        connection.close()

    other = threading.Thread(target=hold)
    other.start()
    held.wait(30)
    bucket = Bucket(alice.account.bucket)
    assert fold_bucket(bucket, now=NOON) == 0
    done.set()
    other.join(30)
    assert fold_bucket(bucket, now=NOON) == 2


def test_a_default_app_is_made_once_however_many_ask_at_once(stores: StoreRedis, alice: Tenant) -> None:
    found: list[int] = []
    _at_once(*[lambda: found.append(services.default_app(alice.account, by=BY).pk)] * 4)
    assert len(found) == 4
    assert set(found) == set(App.objects.values_list("pk", flat=True))
    assert len(set(found)) == 1
