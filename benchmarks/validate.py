"""`make bench`: POST /v1/validate side by side with two peers, in one run on one machine: figures and ratios.

Ours runs as `make run` starts it: one web process, a worker draining, PostgreSQL, Valkey with AOF everysec. The peers
run in two processes each, on the same PostgreSQL and Valkey, under the same load. Rounds are interleaved and the
median is told, so that a machine whose speed drifts favours nobody. At the end the ledger must hold every call.
"""

import argparse
import json
import os
import secrets
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import psycopg

from benchmarks import stack
from benchmarks.stack import AdminVisitors, Call, Load
from limitly_site.keeper import hold_stores
from limitly_site.stores import EmbeddedStores, embedded_stores

KEYS = 1_000
BODY = {"endpoint": "/orders/17", "method": "GET"}
OURS, DRF, FASTAPI, BUSY = "limitly", "drf + api-key + throttle", "fastapi + limits", "limitly, admin busy"


@dataclass(frozen=True, slots=True)
class Contender:
    """One who is measured: its round of load, and what must be done before the next round of anybody."""

    name: str
    round: Callable[[], Load]
    settle: Callable[[], None] = lambda: None


def main() -> None:
    options = _options()
    stack.require()
    folder = Path(tempfile.mkdtemp(prefix="limitly-bench-"))
    folder.chmod(0o755)
    stores = embedded_stores(folder)
    try:
        with hold_stores(stores), ExitStack() as started:
            ours = Ours(started, folder)
            contenders = [*ours.contenders(options), *_peers(started, stores, folder, options)]
            rounds = _rounds(contenders, options.rounds)
            _tell(rounds, options)
            ours.tell_ledger(sum(load.requests for name in (OURS, BUSY) for load in rounds[name]))
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=int, default=10, help="of each round (default: 10)")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--connections", type=int, default=32)
    return parser.parse_args()


# --- ours ---------------------------------------------------------------------------------------------------------
class Ours:
    """`make run` in a folder of its own; an account without minute budget; keys whose plan is never used up."""

    def __init__(self, started: ExitStack, folder: Path) -> None:
        self._url = stack.make_run(started, folder)
        self._password = secrets.token_hex(8)
        told = json.loads(stack.manage("shell", "-c", PREPARE.format(keys=KEYS, password=self._password)))
        self._bucket = told["bucket"]
        calls = [
            Call("/v1/validate", "Authorization", f"Bearer {told['access_key']}", json.dumps(BODY | {"api_key": key}))
            for key in told["keys"]
        ]
        self._calls = stack.write_calls(folder / "limitly.calls", calls)

    def contenders(self, options: argparse.Namespace) -> list[Contender]:
        def undisturbed() -> Load:
            return stack.load(self._url, self._calls, connections=options.connections, seconds=options.seconds)

        def busy() -> Load:
            with AdminVisitors(self._url, username="bench", password=self._password) as visitors:
                time.sleep(1)
                load = undisturbed()
            print(f"  ({visitors.pages} pages of the admin meanwhile)", file=sys.stderr)
            return load

        return [Contender(OURS, undisturbed, self._settled), Contender(BUSY, busy, self._settled)]

    def _settled(self) -> None:
        """Nobody is measured while the worker files and folds another's round."""
        stack.settle(self._bucket)

    def tell_ledger(self, calls: int) -> None:
        self._settled()
        written = int(stack.manage("shell", "-c", WRITTEN))
        # wrk counts answers: a call whose answer it did not wait for at a round's end is in the ledger besides.
        print(f"\nledger: {written} decisions of {calls} answered calls; {stack.manage('check_ledger').strip()}")
        if written < calls:
            sys.exit("The ledger lacks decisions.")


PREPARE = """
import json
from accounts import services as accounts
from accounts.actors import Actor
from accounts.models import Staff
from keys import services as keys
from plans import services as plans
by = Actor.command("benchmark")
account = accounts.create_account("Benchmark", by=by)
access_key = accounts.create_access_key(account, name="benchmark", by=by, requests_per_minute=None)
plan = plans.create_plan(account, by=by, name="Large", max_requests=1_000_000_000, request_period="month")
issued = [keys.issue_api_key(account, by=by, name=f"key {{n}}", plan=plan).secret for n in range({keys})]
Staff.objects.create_superuser("bench", password="{password}")
print(json.dumps({{"bucket": account.bucket, "access_key": access_key.secret, "keys": issued}}))
"""
WRITTEN = """
from keys.models import Decision
print(Decision.objects.filter(account_id__gt=1).count())
"""


# --- peers --------------------------------------------------------------------------------------------------------
def _peers(
    started: ExitStack, stores: EmbeddedStores, folder: Path, options: argparse.Namespace
) -> Iterator[Contender]:
    host = quote(str(stores.socket_dir), safe="")
    with psycopg.connect(host=str(stores.socket_dir), user="limitly", dbname="postgres", autocommit=True) as database:
        database.execute("CREATE DATABASE peer")
    told = {
        "PEER_DATABASE_URL": f"postgresql://limitly@/peer?host={host}",
        "PEER_REDIS_URL": f"unix://{stores.valkey_socket}?db=10",
        "PEER_KEYS": str(folder / "peer.keys"),
    }
    drf = [str(stack.PEER_PYTHON), str(stack.HERE / "peers" / "drf_peer.py")]
    subprocess.run([*drf, "migrate", "--verbosity", "0"], env=os.environ | told, check=True)
    issued = subprocess.run(
        [*drf, "issue", str(KEYS)], env=os.environ | told, stdout=subprocess.PIPE, check=True
    ).stdout
    Path(told["PEER_KEYS"]).write_bytes(issued)
    keys, body = json.loads(issued), json.dumps(BODY)
    for name, interface, application, header, prefix in (
        (DRF, "wsgi", "drf_peer:application", "Authorization", "Api-Key "),
        (FASTAPI, "asgi", "fastapi_peer:application", "X-Api-Key", ""),
    ):
        port = stack.free_port()
        calls = stack.write_calls(
            folder / f"{interface}.calls", [Call("/validate", header, prefix + key, body) for key in keys]
        )
        url = started.enter_context(
            stack.running(stack.peer(interface, application, port), port, folder / f"{interface}.log", **told)
        )
        yield Contender(name, _round_of(url, calls, options))


def _round_of(url: str, calls: Path, options: argparse.Namespace) -> Callable[[], Load]:
    return lambda: stack.load(url, calls, connections=options.connections, seconds=options.seconds)


# --- figures ------------------------------------------------------------------------------------------------------
def _rounds(contenders: list[Contender], count: int) -> dict[str, list[Load]]:
    rounds: dict[str, list[Load]] = {each.name: [] for each in contenders}
    for number in range(count + 1):
        for each in contenders:
            load = each.round()
            each.settle()
            if number:  # the first round warms up
                rounds[each.name].append(load)
            told = f"{load.per_second:8,.0f}/s  p50 {load.p50_ms:6.2f} ms  p99 {load.p99_ms:6.2f} ms"
            print(f"round {number or 'warm-up'}: {each.name:<26} {told}  failed {load.failed}", file=sys.stderr)
            if load.failed:
                sys.exit(f"{each.name} refused or failed calls: its figure would mean nothing.")
    return rounds


def _tell(rounds: dict[str, list[Load]], options: argparse.Namespace) -> None:
    def median(name: str, figure: str) -> float:
        return statistics.median(getattr(load, figure) for load in rounds[name])

    ours = median(OURS, "per_second")
    print(f"POST validate, {options.connections} connections, median of {options.rounds} × {options.seconds} s\n")
    print(f"{'':<26} {'requests/s':>11} {'p50 ms':>8} {'p99 ms':>8} {'limitly is':>11}")
    for name in rounds:
        speed, p50, p99 = (median(name, figure) for figure in ("per_second", "p50_ms", "p99_ms"))
        ratio = "" if name == OURS else f"{ours / speed:.1f} ×"
        print(f"{name:<26} {speed:>11,.0f} {p50:>8.2f} {p99:>8.2f} {ratio:>11}")


if __name__ == "__main__":
    main()
