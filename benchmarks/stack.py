"""What the benchmark starts and stops: a process on a port, the load, and two clients who page through the admin."""

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import threading
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from http.cookiejar import CookieJar
from pathlib import Path
from typing import Self

HERE = Path(__file__).resolve().parent
PEER_PYTHON = HERE / ".venv" / "bin" / "python"
START_WITHIN_S = 60
# Events that wait in a bucket's stream, and one more where decisions wait to be folded.
UNSETTLED = """
from keys.events import stream_name
from keys.models import StreamPosition
from keys.redis import client
from analytics.models import FoldPosition
filed = StreamPosition.objects.get(bucket={bucket}).last_id
folded = FoldPosition.objects.get(bucket={bucket})
print(client().xlen(stream_name({bucket})) + (filed != f"{{folded.ms}}-{{folded.seq}}"))
"""


@dataclass(frozen=True, slots=True)
class Call:
    """One request of the load: POST to `path` with a header of its own and a JSON body."""

    path: str
    header: str
    value: str
    body: str


@dataclass(frozen=True, slots=True)
class Load:
    """What wrk saw in one round."""

    requests: int
    seconds: float
    p50_ms: float
    p99_ms: float
    failed: int

    @property
    def per_second(self) -> float:
        return self.requests / self.seconds


def load(url: str, calls: Path, *, connections: int, seconds: int, pause_ms: int = 0) -> Load:
    command = ["wrk", "-t2", f"-c{connections}", f"-d{seconds}s", "--timeout", "5s", "-s", str(HERE / "calls.lua"), url]
    told = {"WRK_CALLS": str(calls), "WRK_PAUSE_MS": str(pause_ms)}
    output = subprocess.run(command, env=os.environ | told, capture_output=True, text=True, check=True).stdout
    return Load(**json.loads(output.strip().rpartition("\n")[2]))


def write_calls(file: Path, calls: list[Call]) -> Path:
    file.write_text("".join(f"{call.path}\t{call.header}\t{call.value}\t{call.body}\n" for call in calls))
    return file


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def running(command: list[str], port: int, log: Path, **environment: str) -> Iterator[str]:
    """The command's process until the block ends, once its port answers; its URL. Errors: TimeoutError, see the log."""
    with log.open("w") as output:
        process = subprocess.Popen(
            command, cwd=HERE.parent, env=os.environ | environment, stdout=output, stderr=subprocess.STDOUT
        )
    try:
        _wait_for(port, process, log)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(30)


def make_run(started: ExitStack, folder: Path, **environment: str) -> str:
    """`make run` on stores of its own in `folder`, until the benchmark ends; its URL."""
    os.environ |= {"LIMITLY_DATA_DIR": str(folder), "DJANGO_SETTINGS_MODULE": "limitly_site.settings"} | environment
    for name in ("DATABASE_URL", "REDIS_URL", "CELERY_BROKER_URL"):
        os.environ.pop(name, None)
    port = free_port()
    command = [sys.executable, "-m", "limitly_site.supervisor"]
    return started.enter_context(running(command, port, folder / "limitly.log", PORT=str(port)))


def manage(*arguments: str) -> str:
    """What a command of manage.py prints, on the stores of make_run."""
    quiet = ["--verbosity", "0"] if arguments[0] == "shell" else []
    command = [sys.executable, "manage.py", *arguments, *quiet]
    return subprocess.run(command, cwd=HERE.parent, stdout=subprocess.PIPE, text=True, check=True).stdout


def settle(bucket: int) -> None:
    """Waits until ledger and fold have caught up with what was decided."""
    while int(manage("shell", "-c", UNSETTLED.format(bucket=bucket))):
        time.sleep(0.5)


def peer(interface: str, application: str, port: int) -> list[str]:
    """Two processes of granian, as many as there are processors: more than ours gets."""
    options = f"-m granian --interface {interface} --host 127.0.0.1 --port {port} --workers 2 --loop uvloop"
    quiet = ["--no-access-log", "--log-level", "warning", "--working-dir", str(HERE / "peers")]
    return [str(PEER_PYTHON), *options.split(), *quiet, application]


def _wait_for(port: int, process: "subprocess.Popen[bytes]", log: Path) -> None:
    ends = time.monotonic() + START_WITHIN_S
    while time.monotonic() < ends and process.poll() is None:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                time.sleep(1)
                return
        time.sleep(0.1)
    raise TimeoutError(f"nothing answers at port {port}:\n{log.read_text()[-2000:]}")


class AdminVisitors:
    """Two staff members who turn pages of the admin without a pause, each in a session of their own."""

    PAGES = ("/admin/keys/apikey/", "/admin/keys/apikey/?p=2", "/admin/keys/decision/", "/admin/plans/plan/")

    def __init__(self, url: str, *, username: str, password: str) -> None:
        self.pages = 0
        self._url = url
        self._told = {"username": username, "password": password}
        self._done = threading.Event()
        self._threads = [threading.Thread(target=self._visit, daemon=True) for _ in range(2)]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        for thread in self._threads:
            thread.join(30)

    def _visit(self) -> None:
        opener = self._logged_in()
        while not self._done.is_set():
            for page in self.PAGES:
                with opener.open(self._url + page) as answer:
                    answer.read()
                self.pages += 1

    def _logged_in(self) -> urllib.request.OpenerDirector:
        opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(CookieJar()))
        login = f"{self._url}/admin/login/?next=/admin/"
        with opener.open(login) as answer:
            token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', answer.read().decode())
        assert token is not None
        form = self._told | {"csrfmiddlewaretoken": token[1]}
        with opener.open(login, urllib.parse.urlencode(form).encode()) as answer:
            assert "login" not in answer.url
        return opener


def require_wrk(environment: Mapping[str, str] = os.environ) -> None:
    """Says that it is missing and ends the program."""
    if shutil.which("wrk", path=environment.get("PATH")) is None:
        sys.exit("The load comes from wrk, which is not installed (Debian: apt-get install wrk).")


def require(environment: Mapping[str, str] = os.environ) -> None:
    """Says what is missing and ends the program."""
    require_wrk(environment)
    if not PEER_PYTHON.exists():
        sys.exit("The peers' environment is missing: run this by `make bench`, which makes it.")
