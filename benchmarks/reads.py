"""`make bench-reads`: what reading an app's traffic and request logs costs, on a million and on ten million of them.

The past is made up (simulate_history), the server is `make run`'s, and each question is asked over HTTP again and
again, every time about something a little different. p95 in milliseconds; and how ten million compares with one.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from benchmarks import stack

ENDPOINTS, CONSUMERS, MONTHS, LOG_DAYS = 50, 1_000, 13, 15
PAGE = 100


@dataclass(frozen=True, slots=True)
class Question:
    """One that is asked; `path` makes its address, a little different each time."""

    name: str
    path: Callable[[int], str]


class Reader:
    """A backend with an access key, and one app with a past of so many request logs."""

    def __init__(self, url: str, logs: int) -> None:
        self._url = url
        account = json.loads(_manage("create_account", f"Past of {logs}", "--json"))
        app = json.loads(_manage("create_app", "shop", "--account", str(account["account_id"]), "--json"))
        self._header = {"Authorization": f"Bearer {account['access_key']}"}
        self._lift_budget(account["account_id"])
        self.path = f"/v1/apps/{app['app_id']}"
        size = f"--logs {logs} --log-days {LOG_DAYS} --endpoints {ENDPOINTS} --consumers {CONSUMERS} --months {MONTHS}"
        _manage("simulate_history", "--app", str(app["app_id"]), *size.split())
        _manage("shell", "-c", "from django.db import connection as c; c.cursor().execute('ANALYZE')")

    def get(self, path: str) -> Any:
        request = urllib.request.Request(self._url + path, headers=self._header)
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.loads(answer.read())

    def took_ms(self, path: str) -> float:
        began = time.perf_counter()
        self.get(path)
        return (time.perf_counter() - began) * 1000

    @staticmethod
    def _lift_budget(account_id: int) -> None:
        lift = (
            "from accounts.models import AccessKey; from accounts import services; from accounts.actors import Actor; "
            f"[services.update_access_key(k, by=Actor.command('benchmark'), analytics_requests_per_minute=None) "
            f"for k in AccessKey.objects.filter(account_id={account_id})]"
        )
        _manage("shell", "-c", lift)


def questions(reader: Reader, now: datetime) -> Iterator[Question]:
    """Those of the issue of speed: each page of request logs under each filter, one that matches nothing among them."""
    base = reader.path
    consumers = [each["id"] for each in reader.get(f"{base}/consumers?limit=100")["data"]]
    environments = {each["name"]: each["id"] for each in reader.get("/v1/apps")["data"][-1]["envs"]}
    since = _query(start=(now - timedelta(days=LOG_DAYS)).isoformat())

    yield Question("traffic, 30 days by hour", lambda n: f"{base}/traffic?{_days_back(now, 30, n)}&limit=1000")
    yield Question(
        "traffic of a consumer, 30 days by hour",
        lambda n: f"{base}/traffic?{_days_back(now, 30, n)}&limit=1000&consumer_id={consumers[n % len(consumers)]}",
    )
    yield Question(
        "traffic, 13 months by day",
        lambda n: f"{base}/traffic?{_days_back(now, 395, n)}&interval=day&limit=1000&timezone=America/New_York",
    )
    filters = {
        "no filter": lambda _: "",
        "method": lambda _: "method=GET",
        "path": lambda n: f"path=/things/{n % ENDPOINTS}/*",
        "status": lambda _: "status_code=5xx",
        "consumer": lambda n: f"consumer_id={consumers[n % len(consumers)]}",
        "common environment": lambda _: f"app_env_id={environments['prod']}",
        "rare environment": lambda _: f"app_env_id={environments['staging']}",
        "nothing matches": lambda n: f"status_code=5xx&consumer_id={consumers[n % len(consumers)]}&path=/none/*",
        "no such status": lambda n: f"status_code=41{n % 8}",
    }
    for name, told in filters.items():
        yield Question(
            f"request logs, first page, {name}",
            lambda n, told=told: f"{base}/request-logs?{since}&limit={PAGE}&{told(n)}",  # type: ignore[misc]
        )
        token = _thousandth(reader, f"{base}/request-logs?{since}&limit=10&{told(0)}")
        if token:
            yield Question(
                f"request logs, thousandth page, {name}",
                lambda _, token=token: f"{base}/request-logs?limit={PAGE}&{_query(next_token=token)}",  # type: ignore[misc]
            )
    yield Question(
        "consumers since", lambda n: f"{base}/consumers?{_query(requests_since=(now - timedelta(hours=n)).isoformat())}"
    )
    page = reader.get(f"{base}/request-logs?{since}&limit=100")["data"]
    yield Question("one request", lambda n: f"{base}/request-logs/{page[n % len(page)]['request_uuid']}")


def _thousandth(reader: Reader, path: str) -> str | None:
    """The token of the thousandth page, or of the last one there is; None where there is one page alone."""
    token = reader.get(path)["next_token"]
    for _ in range(998):
        if token is None:
            return None
        following = reader.get(f"{path.partition('?')[0]}?limit=10&{_query(next_token=token)}")["next_token"]
        if following is None:
            return str(token)
        token = following
    return str(token)


def _days_back(now: datetime, days: int, n: int) -> str:
    end = now - timedelta(hours=n % 24)
    return _query(start=(end - timedelta(days=days)).isoformat(), end=end.isoformat())


def _query(**told: str) -> str:
    return urllib.parse.urlencode(told)


def _manage(*arguments: str) -> str:
    quiet = ["--verbosity", "0"] if arguments[0] == "shell" else []
    command = [sys.executable, "manage.py", *arguments, *quiet]
    return subprocess.run(command, cwd=stack.HERE.parent, stdout=subprocess.PIPE, text=True, check=True).stdout


def main() -> None:
    options = _options()
    folder = Path(tempfile.mkdtemp(prefix="limitly-bench-"))
    folder.chmod(0o755)
    os.environ |= {"LIMITLY_DATA_DIR": str(folder), "DJANGO_SETTINGS_MODULE": "limitly_site.settings"}
    port = stack.free_port()
    command = [sys.executable, "-m", "limitly_site.supervisor"]
    try:
        with stack.running(command, port, folder / "limitly.log", PORT=str(port)) as url:
            found = _measure(url, options.logs, options.times)
        _tell(found)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _measure(url: str, sizes: list[int], times: int) -> dict[int, dict[str, float]]:
    """p95 of each question for each size, asked in turns: what else the machine does befalls all sizes alike."""
    readers = {logs: Reader(url, logs) for logs in sizes}
    now = datetime.now(UTC)
    asked = {logs: {each.name: each for each in questions(reader, now)} for logs, reader in readers.items()}
    found: dict[int, dict[str, float]] = {logs: {} for logs in sizes}
    for name in asked[max(sizes)]:
        of_sizes = [logs for logs in sizes if name in asked[logs]]
        took: dict[int, list[float]] = {logs: [] for logs in of_sizes}
        for number in range(times + 2):
            for logs in of_sizes:
                took[logs].append(readers[logs].took_ms(asked[logs][name].path(number)))
        for logs in of_sizes:
            found[logs][name] = p95 = _p95(took[logs][2:])  # the first two warm up
            print(f"{logs:>11,} logs  {name:<48} p95 {p95:8.1f} ms", file=sys.stderr)
    return found


def _p95(took: list[float]) -> float:
    return sorted(took)[min(len(took) - 1, len(took) * 95 // 100)]


def _tell(found: dict[int, dict[str, float]]) -> None:
    sizes = sorted(found)
    print(f"\n{'p95 in ms':<50}" + "".join(f"{size:>14,}" for size in sizes) + f"{'ratio':>9}")
    for name in found[sizes[-1]]:
        row = [found[size].get(name) for size in sizes]
        ratio = f"{row[-1] / row[0]:9.2f}" if row[0] and row[-1] and len(row) > 1 else ""
        print(f"{name:<50}" + "".join(f"{each:>14.1f}" if each is not None else f"{'-':>14}" for each in row) + ratio)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--logs", type=int, nargs="+", default=[1_000_000, 10_000_000])
    parser.add_argument("--times", type=int, default=40, help="that each question is asked (default: 40)")
    return parser.parse_args()


if __name__ == "__main__":
    main()
