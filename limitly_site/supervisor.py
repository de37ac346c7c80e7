"""What `make run` is: the stores held, the database ready, then web, workers and beat kept running until Ctrl-C."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO
from urllib.error import URLError

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

from limitly_site import environment
from limitly_site.holding import hold_embedded_stores
from limitly_site.http_connection import IDLE_WITHIN_S
from limitly_site.stores import StoresFailed

ROOT = Path(__file__).resolve().parent.parent
POLL_S = 0.1
STOP_WITHIN_S = 10
WEB_STOPS_WITHIN_S = 8  # to answer what it has accepted
RESTARTS_A_MINUTE = 5
LAST_LINES = 15
# A drain files a second's decisions at once: decisions that are being made go first, and it still gets its quarter.
WORKER_NICENESS = 5
# Who tries Limitly out shall see his app's reports within seconds, unless the environment says otherwise.
EXPORT_INTERVAL_S = "5"
# What is observed has a worker of its own, so that the ledger never waits for it. Its two queues take turns.
OBSERVING_NICENESS = 19
# Kilobytes of resident memory above which a child of it is replaced when its task is done.
OBSERVING_MEMORY_KB = 400_000


@dataclass(frozen=True, slots=True)
class Service:
    """A program to keep running."""

    name: str
    command: tuple[str, ...]
    niceness: int = 0


@dataclass(slots=True)
class Child:
    """One run after the other of a service, and the end of what it said."""

    service: Service
    process: "subprocess.Popen[str]"
    reader: threading.Thread
    starts: deque[float] = field(default_factory=lambda: deque(maxlen=RESTARTS_A_MINUTE + 1))
    said: deque[str] = field(default_factory=lambda: deque(maxlen=LAST_LINES))


class Supervisor:
    def __init__(self, services: Sequence[Service], *, out: IO[str]) -> None:
        self._services = services
        self._out = out
        self._children: list[Child] = []
        self._is_stopping = False

    def run(self) -> int:
        """Until a signal (0), or until a service died too often (1)."""
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._stop_soon)
        for service in self._services:
            self._children.append(self._first_start(service))
        try:
            return self._watch()
        finally:
            self._stop_all()

    def _watch(self) -> int:
        while not self._is_stopping:
            for child in self._children:
                if child.process.poll() is not None and not self._restart(child):
                    return 1
            time.sleep(POLL_S)
        return 0

    def _stop_soon(self, *_: object) -> None:
        self._is_stopping = True

    def _first_start(self, service: Service) -> Child:
        process = _spawn(service)
        child = Child(service, process, threading.Thread())
        self._listen(child)
        child.starts.append(time.monotonic())
        return child

    def _restart(self, child: Child) -> bool:
        """Whether it may be started again: not when it died over five times in a minute."""
        status, name = child.process.returncode, child.service.name
        child.reader.join(1)
        first = child.starts[0]
        if len(child.starts) > RESTARTS_A_MINUTE and time.monotonic() - first < 60:
            self._say(f"{name} died again (status {status}); it said last:\n" + "\n".join(child.said))
            return False
        self._say(f"{name} died (status {status}): starting it again")
        child.process = _spawn(child.service)
        self._listen(child)
        child.starts.append(time.monotonic())
        return True

    def _listen(self, child: Child) -> None:
        """A thread that passes on what the child says, a name before each line."""
        output = child.process.stdout
        assert output is not None

        def pass_on() -> None:
            with output:
                for line in output:
                    child.said.append(line.rstrip("\n"))
                    print(f"{child.service.name:<6} | {line}", end="", file=self._out, flush=True)

        child.reader = threading.Thread(target=pass_on, daemon=True)
        child.reader.start()

    def _stop_all(self) -> None:
        """Asked first; what is left after ten seconds is killed, with all that it started."""
        for child in self._children:
            if child.process.poll() is None:
                child.process.terminate()
        ends = time.monotonic() + STOP_WITHIN_S
        for child in self._children:
            try:
                child.process.wait(max(0.1, ends - time.monotonic()))
            except subprocess.TimeoutExpired:
                self._say(f"{child.service.name} does not stop: killing it")
            _kill_group(child.process.pid)
            child.process.wait()
            child.reader.join(1)

    def _say(self, text: str) -> None:
        print(f"run    | {text}", file=self._out, flush=True)


def _spawn(service: Service) -> "subprocess.Popen[str]":
    """In a group of its own, so that a terminal's Ctrl-C reaches the supervisor alone; ends with the supervisor."""
    return subprocess.Popen(
        [sys.executable, "-m", "limitly_site.tether", str(service.niceness), *service.command],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        cwd=ROOT,
        process_group=0,
    )


def _kill_group(leader: int) -> None:
    with suppress(ProcessLookupError, PermissionError):  # all of it is gone
        os.killpg(leader, signal.SIGKILL)


# --- make run -----------------------------------------------------------------------------------------------------
def web_command(host: str, port: int, *, processes: int = 1) -> tuple[str, ...]:
    """uvicorn, its connections ours."""
    server = f"-m uvicorn --host {host} --port {port} --workers {processes} --interface asgi3 --loop uvloop --ws none"
    connection = "--http limitly_site.http_connection:HttpConnection --no-proxy-headers --no-server-header"
    ending = f"--timeout-keep-alive {IDLE_WITHIN_S:.0f} --timeout-graceful-shutdown {WEB_STOPS_WITHIN_S}"
    quiet = "--no-access-log --log-level warning limitly_site.asgi:application"
    return (sys.executable, *server.split(), *connection.split(), *ending.split(), *quiet.split())


def services(host: str, port: int, *, web_processes: int, workers: int, report_workers: int) -> list[Service]:
    python = sys.executable
    celery = "-m celery --quiet -A limitly_site"
    worker = f"{celery} worker --loglevel WARNING --without-mingle"
    ledger = f"{worker} --hostname ledger@%h --queues ledger,celery --concurrency {workers}"
    observing = f"{worker} --hostname observing@%h --queues reports,folding --concurrency {report_workers}"
    observing += f" --max-memory-per-child {OBSERVING_MEMORY_KB}"
    beat = f"{celery} beat --loglevel WARNING"
    # As root, as in a container, the worker would say at length that it should not be.
    unasked = ("-W", "ignore:You're running the worker")
    return [
        Service("web", web_command(host, port, processes=web_processes)),
        Service("worker", (python, *unasked, *ledger.split()), WORKER_NICENESS),
        Service("ingest", (python, *unasked, *observing.split()), OBSERVING_NICENESS),
        Service("beat", (python, *beat.split())),
    ]


def main() -> int:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "limitly_site.settings")
    if not os.environ.get("LIMITLY_EXPORT_INTERVAL_S"):
        os.environ["LIMITLY_EXPORT_INTERVAL_S"] = EXPORT_INTERVAL_S
    try:
        return _run(
            environment.text("HOST", "127.0.0.1"), environment.integer("PORT", 8000, at_least=1, at_most=65_535)
        )
    except (StoresFailed, ImproperlyConfigured) as error:
        print(error, file=sys.stderr)
        return 1


def _run(host: str, port: int) -> int:
    if not _is_free(host, port):
        print(
            f"Port {port} of {host} is taken. Stop what listens there, or give another: PORT=8001 make run",
            file=sys.stderr,
        )
        return 1
    with hold_embedded_stores():
        first_start = subprocess.run([sys.executable, "manage.py", "first_start"], cwd=ROOT, check=False)
        if first_start.returncode:
            return first_start.returncode
        threading.Thread(target=_announce, args=(host, port), daemon=True).start()
        started = services(
            host,
            port,
            web_processes=settings.LIMITLY_WEB_PROCESSES,
            workers=settings.LIMITLY_WORKERS,
            report_workers=settings.LIMITLY_REPORT_WORKERS,
        )
        return Supervisor(started, out=sys.stdout).run()


def _is_free(host: str, port: int) -> bool:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True


def _announce(host: str, port: int) -> None:
    """Says so once the web process answers."""
    url = f"http://{f'[{host}]' if ':' in host else host}:{port}"
    while True:
        try:
            with urllib.request.urlopen(f"{url}/healthz", timeout=1):  # noqa: S310  # http, by the line above
                break
        except (URLError, OSError):
            time.sleep(POLL_S)
    print(
        f"run    | Limitly is at {url} (admin: {url}/admin/, API: {url}/v1/docs). Ctrl-C stops it.",
        flush=True,
    )


if __name__ == "__main__":
    sys.exit(main())
