"""`make bench-admin`: what each page of the staff's desk costs on a million keys and millions of requests.

The customers are made up (simulate_installation, simulate_history), the server is `make run`'s. A member of staff logs
in over HTTP and asks each page again and again: that is the time. How many statements a page needs is counted in this
process, on the same tables, by Django's own test client. Pages come from the URLconf: one without a sample here is
reported as not measured.
"""

import argparse
import http.client
import json
import re
import secrets
import shutil
import sys
import tempfile
import time
import urllib.parse
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from benchmarks import stack

STAFF, PASSWORD = "bench", secrets.token_urlsafe(16)
SLOW_MS, QUERIES_MAX = 500.0, 30
SEED = "benchmark"


@dataclass(frozen=True, slots=True)
class Cost:
    page: str
    status: int
    p95_ms: float
    queries: int

    @property
    def fault(self) -> str:
        faults = [f"HTTP {self.status}"] if self.status != 200 else []
        faults += [f"over {SLOW_MS:.0f} ms"] if self.p95_ms > SLOW_MS else []
        return ", ".join(faults + ([f"over {QUERIES_MAX} queries"] if self.queries > QUERIES_MAX else []))


class Browser:
    """A member of staff's, over one connection that is kept."""

    def __init__(self, url: str) -> None:
        self._connection = http.client.HTTPConnection(urllib.parse.urlsplit(url).netloc, timeout=120)
        self._cookies: dict[str, str] = {}
        self._log_in()

    def ask(self, path: str, post: dict[str, str] | None) -> tuple[int, float]:
        """The status, and the milliseconds until the last byte."""
        began = time.perf_counter()
        answer, _ = self._send(path, post)
        return answer.status, (time.perf_counter() - began) * 1000

    def _log_in(self) -> None:
        _, page = self._send("/admin/login/?next=/admin/", None)
        self._token = _token(page)
        answer, _ = self._send("/admin/login/?next=/admin/", {"username": STAFF, "password": PASSWORD})
        if answer.status != 302:
            raise SystemExit("The benchmark's member of staff could not log in.")
        _, page = self._send("/admin/desk/find/", None)
        self._token = _token(page)

    def _send(self, path: str, post: dict[str, str] | None) -> tuple[http.client.HTTPResponse, str]:
        headers = {"Cookie": "; ".join(f"{name}={value}" for name, value in self._cookies.items())}
        body = None
        if post is not None:
            body = urllib.parse.urlencode(post | {"csrfmiddlewaretoken": self._token})
            headers["Content-Type"] = "application/x-www-form-urlencoded"
        self._connection.request("GET" if post is None else "POST", path, body, headers)
        answer = self._connection.getresponse()
        read = answer.read().decode(errors="replace")
        for cookie in answer.headers.get_all("Set-Cookie") or []:
            name, _, value = cookie.partition(";")[0].partition("=")
            self._cookies[name] = value
        return answer, read


def _token(page: str) -> str:
    found = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', page)
    assert found is not None, page[:500]
    return found[1]


def measure(browser: Browser, path: str, post: dict[str, str] | None, times: int) -> tuple[int, float]:
    """The status, and p95."""
    asked = [browser.ask(path, post) for _ in range(times + 2)][2:]  # the first two warm up
    took = sorted(ms for _, ms in asked)
    return asked[-1][0], took[min(len(took) - 1, len(took) * 95 // 100)]


def main() -> None:
    options = _options()
    with ExitStack() as started:
        folder = options.keep.resolve() if options.keep else _folder_for_once(started)
        folder.mkdir(mode=0o755, exist_ok=True)
        url = stack.make_run(started, folder, LIMITLY_FOLD_DECISIONS="0")
        facts = _facts(folder, options)
        costs, unmeasured = _measure_all(url, facts, options)
    _tell(costs, unmeasured)
    sys.exit(1 if any(cost.fault for cost in costs) or unmeasured else 0)


def _folder_for_once(started: ExitStack) -> Path:
    folder = Path(tempfile.mkdtemp(prefix="limitly-bench-"))
    folder.chmod(0o755)
    started.callback(shutil.rmtree, folder, ignore_errors=True)
    return folder


def _facts(folder: Path, options: argparse.Namespace) -> dict[str, int]:
    """Ids of the largest account and its app; they are made up where they are not kept in the folder."""
    kept = folder / "facts.json"
    if not kept.exists():
        kept.write_text(json.dumps(_make_up(options)))
    facts: dict[str, int] = json.loads(kept.read_text())
    return facts


def _make_up(options: argparse.Namespace) -> dict[str, int]:
    """Customers, and the past of an app of the largest of them."""
    began = time.monotonic()
    size = f"--users {options.users} --keys {options.keys} --decisions {options.decisions} --changes {options.changes}"
    told = stack.manage("simulate_installation", "--seed", SEED, "--months", "2", *size.split())
    account = told.strip().rstrip(".").rpartition(" ")[2]
    app = re.search(r'"app_id": (\d+)', stack.manage("create_app", "shop", "--account", account, "--json"))
    assert app is not None
    stack.manage(
        "create_app", "back office", "--account", account, "--json"
    )  # the list of apps leads on from one alone
    past = f"--logs {options.logs} --log-days 14 --months {options.months}"
    stack.manage("simulate_history", "--app", app[1], *past.split())
    stack.manage("shell", "-c", "from django.db import connection as c; c.cursor().execute('ANALYZE')")
    print(f"made up in {time.monotonic() - began:.0f} s: {told.strip()}", file=sys.stderr)
    return {"account": int(account), "app": int(app[1])}


def _measure_all(url: str, facts: dict[str, int], options: argparse.Namespace) -> tuple[list[Cost], list[str]]:
    from benchmarks import admin_pages as pages  # noqa: PLC0415  # Django's settings were not known before

    client = pages.client_of(STAFF, PASSWORD)
    asked, unmeasured = pages.addresses(pages.facts_of(facts["account"], facts["app"]))
    browser, costs = Browser(url), []
    for each in asked:
        if options.only not in each.name:
            continue
        queries = pages.queries_of(client, each)
        cost = Cost(each.name, *measure(browser, each.path, each.post, options.times), queries)
        print(f"{cost.page:<72} {cost.queries:>3} queries  p95 {cost.p95_ms:8.1f} ms  {cost.fault}", file=sys.stderr)
        costs.append(cost)
    return costs, unmeasured


def _tell(costs: list[Cost], unmeasured: list[str]) -> None:
    print(f"\n{'page':<72}{'queries':>8}{'p95 ms':>10}")
    for cost in sorted(costs, key=lambda cost: -cost.p95_ms):
        print(f"{cost.page:<72}{cost.queries:>8}{cost.p95_ms:>10.1f}  {cost.fault}")
    for name in unmeasured:
        print(f"not measured, for it has no sample in benchmarks/admin_pages.py: {name}")
    faults = sum(bool(cost.fault) for cost in costs)
    print(f"\n{len(costs)} pages, {faults} over their bounds ({SLOW_MS:.0f} ms p95, {QUERIES_MAX} queries).")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--keys", type=int, default=1_000_000)
    parser.add_argument("--users", type=int, default=100_000)
    parser.add_argument("--logs", type=int, default=10_000_000, help="request logs of one app")
    parser.add_argument("--decisions", type=int, default=2_000_000, help="in the ledger")
    parser.add_argument("--changes", type=int, default=1_000_000, help="on record")
    parser.add_argument("--months", type=int, default=2, help="of traffic")
    parser.add_argument("--times", type=int, default=20, help="that each page is asked (default: 20)")
    parser.add_argument("--keep", type=Path, help="a folder for the customers: made up once, asked again in later runs")
    parser.add_argument("--only", default="", help="pages whose name holds this")
    return parser.parse_args()


if __name__ == "__main__":
    main()
