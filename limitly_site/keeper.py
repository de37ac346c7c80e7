"""Who starts and stops the embedded stores: whoever needs them holds a lock; one keeper runs them while anybody does.

Three locks in the data folder: `users.lock`, shared, by everybody who needs the stores; `start.lock` by the one who
looks whether a keeper lives and starts it; `keeper.lock` by the keeper itself. A lock goes with its process, however
that ends, so the keeper learns that the last user is gone by getting `users.lock` for itself.
"""

import fcntl
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import time
from functools import partial
from pathlib import Path
from typing import Self

import psycopg

from limitly_site.stores import EmbeddedStores, StoresFailed, embedded_stores, make_folders
from limitly_site.tether import tether_to_parent

START_WITHIN_S = 60  # after a crash PostgreSQL replays its log first
GIVE_UP_DYING_S = 5
STOP_WITHIN_S = 30
GIVE_WAY_S = 10
POLL_S = 0.1
READY_FD = 3
READY = "ready"


class StoresHold:
    """While it is open the stores run. Closing it, or the end of the process, lets them go."""

    def __init__(self, users_lock: int) -> None:
        self._users_lock = users_lock  # a descriptor, not a file: it may be held until the process ends

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        os.close(self._users_lock)


def hold_stores(stores: EmbeddedStores, *, durable: bool = True) -> StoresHold:
    """Starts the stores unless they run, and keeps them running. Errors: StoresFailed.

    `durable=False` is for throwaway stores: PostgreSQL does not wait for the disk.
    """
    make_folders(stores)
    users = _open_lock(stores, "users")
    try:
        while not _try_lock(users, fcntl.LOCK_SH):
            time.sleep(POLL_S)  # a keeper is stopping: what comes after it is a new one
        start = _open_lock(stores, "start")
        try:
            fcntl.flock(start, fcntl.LOCK_EX)
            if not _keeper_is_alive(stores):
                _start_keeper(stores, durable=durable)
        finally:
            os.close(start)
    except BaseException:
        os.close(users)
        raise
    return StoresHold(users)


def _open_lock(stores: EmbeddedStores, name: str) -> int:
    return os.open(stores.data_dir / f"{name}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)


def _try_lock(lock: int, kind: int) -> bool:
    try:
        fcntl.flock(lock, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _keeper_is_alive(stores: EmbeddedStores) -> bool:
    keeper = _open_lock(stores, "keeper")
    try:
        return not _try_lock(keeper, fcntl.LOCK_EX)
    finally:
        os.close(keeper)


def _start_keeper(stores: EmbeddedStores, *, durable: bool) -> None:
    """A process in a session of its own, so that a Ctrl-C meant for us does not stop the stores first.

    posix_spawn, for the keeper outlives this process: there is no Popen object that would wait for it.
    """
    answer, tell = os.pipe()
    log = os.open(stores.log_file, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    command = [
        sys.executable,
        "-m",
        "limitly_site.keeper",
        str(stores.data_dir),
        str(READY_FD),
        str(int(durable)),
    ]
    keeper = os.posix_spawn(
        sys.executable,
        command,
        os.environ | {"PYTHONPATH": str(Path(__file__).resolve().parent.parent)},
        file_actions=[
            (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
            (os.POSIX_SPAWN_DUP2, log, 1),
            (os.POSIX_SPAWN_DUP2, log, 2),
            (os.POSIX_SPAWN_DUP2, tell, READY_FD),
        ],
        setsid=True,
    )
    os.close(tell)
    os.close(log)
    with os.fdopen(answer) as told:
        if told.read() != READY:
            os.waitpid(keeper, 0)  # so that all it has to say is in the log
            raise StoresFailed(_what_went_wrong(stores))


def _what_went_wrong(stores: EmbeddedStores) -> str:
    last_lines = "\n".join(stores.log_file.read_text(errors="replace").splitlines()[-8:])
    return f"The embedded stores did not start. The end of {stores.log_file}:\n{last_lines}"


# --- The keeper's own process -------------------------------------------------------------------------------------
class Keeper:
    def __init__(self, stores: EmbeddedStores, *, durable: bool) -> None:
        self._stores = stores
        self._lock = _open_lock(stores, "keeper")
        fcntl.flock(self._lock, fcntl.LOCK_EX)
        self._postgres_command = stores.postgres_command(durable=durable)
        self._valkey_command = stores.valkey_command()
        self._postgres: subprocess.Popen[bytes] | None = None
        self._valkey: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Both, answering. Errors: StoresFailed."""
        _ask_valkey_to_stop(self._stores)
        if not (self._stores.postgres_dir / "PG_VERSION").exists():
            self._make_cluster()
        self._start_what_is_down()
        began = time.monotonic()
        while not (self._postgres_answers() and _valkey_answers(self._stores)):
            took_s = time.monotonic() - began
            if took_s > (GIVE_UP_DYING_S if self._start_what_is_down() else START_WITHIN_S):
                raise StoresFailed(f"no answer after {took_s:.0f} s")
            time.sleep(0.03)

    def keep_until_unused(self) -> None:
        """Returns once nobody holds the users' lock; a store that dies until then is started again."""
        users = _open_lock(self._stores, "users")
        while not _try_lock(users, fcntl.LOCK_EX):
            time.sleep(POLL_S)
            self._start_what_is_down()
        self.stop()
        # In this order: who gets the users' lock next must not find a keeper that is on its way out.
        os.close(self._lock)
        os.close(users)

    def stop(self) -> None:
        if self._postgres is not None:
            self._postgres.send_signal(signal.SIGINT)  # PostgreSQL's "fast": sessions end, data is flushed
        if self._valkey is not None:
            self._valkey.terminate()
        for server in (self._postgres, self._valkey):
            if server is not None:
                server.wait(STOP_WITHIN_S)

    def _make_cluster(self) -> None:
        draft = self._stores.server_dir / "postgres.draft"
        shutil.rmtree(draft, ignore_errors=True)
        draft.mkdir(mode=0o700)
        os.chown(draft, self._stores.server_uid, -1)
        self._spawn(self._stores.initdb_command(draft)).wait()
        if not (draft / "PG_VERSION").exists():
            raise StoresFailed("initdb failed")
        draft.rename(self._stores.postgres_dir)

    def _start_what_is_down(self) -> bool:
        """Whether anything was."""
        was_down = False
        if self._postgres is None or self._postgres.poll() is not None:
            if self._postgres is not None:
                time.sleep(0.2)  # the children of one that was killed may linger for a moment
                was_down = True
            _drop_stale_pid(self._stores.postgres_dir / "postmaster.pid")
            self._postgres = self._spawn(self._postgres_command, dies_by=signal.SIGINT)
        if self._valkey is None or self._valkey.poll() is not None:
            was_down = was_down or self._valkey is not None
            self._valkey = self._spawn(self._valkey_command, dies_by=signal.SIGTERM)
        return was_down

    def _spawn(self, command: list[str], *, dies_by: signal.Signals | None = None) -> subprocess.Popen[bytes]:
        uid = self._stores.server_uid
        is_other = uid != os.getuid()
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            cwd="/",
            # Safe here: this process has one thread.
            preexec_fn=partial(tether_to_parent, dies_by) if dies_by else None,  # noqa: PLW1509
            user=uid if is_other else None,
            group=pwd.getpwuid(uid).pw_gid if is_other else None,
            extra_groups=[] if is_other else None,
        )

    def _postgres_answers(self) -> bool:
        try:
            with psycopg.connect(
                host=str(self._stores.socket_dir), user="limitly", dbname="postgres", autocommit=True
            ) as database:
                if not database.execute("SELECT 1 FROM pg_database WHERE datname = 'limitly'").fetchone():
                    database.execute("CREATE DATABASE limitly")
        except psycopg.OperationalError:
            return False
        return True


def _ask_valkey_to_stop(stores: EmbeddedStores) -> None:
    """A former keeper's may still be writing its file; two servers on one file would run, and ruin it."""
    ends = time.monotonic() + GIVE_WAY_S
    while _valkey_answers(stores, say=b"SHUTDOWN\r\n"):
        if time.monotonic() > ends:
            raise StoresFailed(f"a server at {stores.valkey_socket} does not stop")
        time.sleep(POLL_S)


def _valkey_answers(stores: EmbeddedStores, *, say: bytes = b"PING\r\n") -> bool:
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(1)
        try:
            connection.connect(str(stores.valkey_socket))
            connection.sendall(say)
            return not connection.recv(64).startswith(b"-LOADING") or say != b"PING\r\n"
        except TimeoutError:
            return say != b"PING\r\n"
        except OSError:
            return False


def _drop_stale_pid(file: Path) -> None:
    """PostgreSQL will not start while this file names a living process, be it a zombie or somebody else's."""
    try:
        pid = int(file.read_text().split()[0])
    except (FileNotFoundError, ValueError, IndexError):
        return
    for _ in range(int(GIVE_WAY_S / POLL_S)):
        if not _is_running_postgres(pid):
            break
        time.sleep(POLL_S)
    file.unlink(missing_ok=True)


def _is_running_postgres(pid: int) -> bool:
    try:
        name, _, rest = Path(f"/proc/{pid}/stat").read_text().partition("(")[2].rpartition(")")
    except FileNotFoundError:
        return False
    return name == "postgres" and rest.split()[0] != "Z"


def main(data_dir: str, tell_ready: str, durable: str) -> None:
    stores = embedded_stores(Path(data_dir))
    with os.fdopen(int(tell_ready), "w") as ready:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)  # the keeper ends when the last user does
        keeper = Keeper(stores, durable=bool(int(durable)))
        try:
            keeper.start()
        except BaseException:
            keeper.stop()
            raise
        ready.write(READY)
        ready.close()
        keeper.keep_until_unused()


if __name__ == "__main__":
    main(*sys.argv[1:])
