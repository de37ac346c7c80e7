"""DESIGN 5a, open: what a bucket keeps and forgets when its server was started anew."""

import time

import psycopg
import pytest
from django.db import connection
from django.utils import timezone

from accounts.secrets import Bucket
from keys.events import head_name, stream_name, to_ms
from keys.ledger import opening
from keys.ledger.drain import drain_bucket
from keys.models import StreamPosition, UsageWindow
from keys.validation.store import StoreUnavailable
from keys.validation.verdicts import Verdict
from tests.cast import Tenant
from tests.conftest import Decisions
from tests.decision_script import HOUR_MS, Script
from tests.store_redis import StoreRedis


def _open(client: StoreRedis, bucket: Bucket, run: str) -> str:
    last_id = StreamPosition.objects.get(bucket=bucket).last_id
    return str(client.eval(opening.SCRIPT, 2, head_name(bucket), stream_name(bucket), run, last_id, f"word of {run}"))


def test_opening_twice_changes_nothing(script: Script) -> None:
    head = script.head
    assert _open(script.client, script.bucket, script.run) == "already"
    assert script.head == head


def test_a_whole_restart_keeps_the_life_and_forgets_the_snapshots(script: Script) -> None:
    life, nonce = script.head["life"], script.head["nonce"]
    assert _open(script.client, script.bucket, "after restart") == "whole"
    assert script.head["life"] == life
    assert script.head["nonce"] != nonce
    assert script.head["inv"] == "0"


def test_a_server_behind_the_ledger_begins_a_new_life_beyond_it(script: Script) -> None:
    ahead = f"{to_ms(timezone.now()) + HOUR_MS}-5"
    StreamPosition.objects.filter(bucket=script.bucket).update(last_id=ahead)
    life = script.head["life"]
    assert _open(script.client, script.bucket, "rolled back") == "behind"
    assert script.head["life"] != life
    assert [stream_id for stream_id, _ in script.client.xrange(stream_name(script.bucket))] == [ahead]


def test_an_emptied_server_whose_clock_went_back_still_appends_beyond_the_ledger(
    alice: Tenant, decisions: Decisions, stores: StoreRedis
) -> None:
    bucket = Bucket(alice.account.bucket)
    ahead = f"{to_ms(timezone.now()) + HOUR_MS}-0"
    StreamPosition.objects.filter(bucket=bucket).update(last_id=ahead)
    key = alice.key(plan=alice.plan(10, "month"))
    for _ in range(5):
        decisions.decide(alice, key.secret)
    assert drain_bucket(bucket) == 5
    assert sum(UsageWindow.objects.values_list("units_allowed", flat=True)) == 5


def test_opening_waits_for_a_drain_under_way(alice: Tenant, decisions: Decisions) -> None:
    key = alice.key()
    told = connection.settings_dict
    dsn = {"dbname": told["NAME"], "user": told["USER"], "host": told["HOST"]}
    with psycopg.connect(**dsn) as drain:
        drain.execute("SELECT 1 FROM keys_streamposition WHERE bucket = %s FOR UPDATE", [alice.account.bucket])
        began = time.monotonic()
        with pytest.raises(StoreUnavailable):
            decisions.decide(alice, key.secret)
        assert time.monotonic() - began < 1
    assert decisions.decide(alice, key.secret).verdict is Verdict.ALLOWED
