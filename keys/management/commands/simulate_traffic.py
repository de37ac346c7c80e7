"""`simulate_traffic`: lively calls of validate against a running server."""

import json
import random
import sys
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from typing import Any
from urllib.parse import urlsplit

import click
from django.core.management.base import BaseCommand, CommandError, CommandParser

from accounts import services as accounts
from accounts.actors import Actor
from keys import services as keys
from plans import services as plans

BY = Actor.command("simulate_traffic")
ENDPOINTS = ("/orders", "/orders/17", "/customers", "/search?q=tea", "/reports/daily")
METHODS = ("GET", "GET", "GET", "POST", "DELETE")
THREADS = 8


@dataclass(slots=True)
class Tally:
    """How calls ended, and how long each took."""

    outcomes: Counter[str] = field(default_factory=Counter)
    took_ms: list[float] = field(default_factory=list)

    def percentile(self, percent: int) -> float:
        ordered = sorted(self.took_ms)
        return ordered[min(len(ordered) - 1, len(ordered) * percent // 100)] if ordered else 0.0


class Command(BaseCommand):
    help = "Calls validate of a running server with keys made for it, at a rate, for a while."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--keys", type=int, default=20)
        parser.add_argument("--rate", type=float, default=50.0, help="calls a second, all together (default: 50)")
        parser.add_argument("--seconds", type=float, default=30.0)
        parser.add_argument("--url", default="http://127.0.0.1:8000")
        parser.add_argument("--json", action="store_true", help="print one JSON object and nothing else")

    def handle(self, *_: Any, **options: Any) -> None:
        if options["keys"] < 1 or options["rate"] <= 0 or options["seconds"] <= 0:
            raise CommandError("--keys, --rate and --seconds must be above 0.")
        _refuse_silence(options["url"])
        access_key, secrets = _make_keys(options["keys"], int(options["rate"] * options["seconds"]))
        tally = Tally()
        pause_s = THREADS / options["rate"]
        ends = time.monotonic() + options["seconds"]
        callers = [_Caller(options["url"], access_key, secrets, pause_s, ends, tally) for _ in range(THREADS)]
        for caller in callers:
            caller.start()
        self._show_progress(options["seconds"])
        for caller in callers:
            caller.join()
        self._report(tally, as_json=options["json"])

    def _show_progress(self, seconds: float) -> None:
        steps = max(1, int(seconds * 4))
        with click.progressbar(range(steps), label="calling", file=sys.stderr) as quarters:
            for _ in quarters:
                time.sleep(seconds / steps)

    def _report(self, tally: Tally, *, as_json: bool) -> None:
        told = {**tally.outcomes, "p50_ms": round(tally.percentile(50), 2), "p99_ms": round(tally.percentile(99), 2)}
        self.stdout.write(
            json.dumps(told) if as_json else ", ".join(f"{name}: {value}" for name, value in told.items())
        )


class _Caller(threading.Thread):
    def __init__(
        self, url: str, access_key: str, secrets: list[str], pause_s: float, ends: float, tally: Tally
    ) -> None:
        super().__init__(daemon=True)
        self.connection = _connect(url)
        self.headers = {"Authorization": f"Bearer {access_key}", "Content-Type": "application/json"}
        self.secrets, self.pause_s, self.ends, self.tally = secrets, pause_s, ends, tally

    def run(self) -> None:
        while time.monotonic() < self.ends:
            began = time.monotonic()
            self.tally.outcomes[self._call()] += 1
            took_s = time.monotonic() - began
            self.tally.took_ms.append(took_s * 1000)
            time.sleep(max(0.0, self.pause_s - took_s))
        self.connection.close()

    def _call(self) -> str:
        ip = f"203.0.113.{random.randrange(1, 255)}"
        body = {"endpoint": random.choice(ENDPOINTS), "method": random.choice(METHODS), "ip_address": ip}
        try:
            self.connection.request(
                "POST",
                "/v1/validate",
                json.dumps(body | {"api_key": random.choice(self.secrets)}),
                self.headers,
            )
            response = self.connection.getresponse()
            told = json.loads(response.read())
        except (OSError, HTTPException, ValueError) as error:
            self.connection.close()
            return type(error).__name__
        if response.status != 200:
            return str(told.get("code", response.status))
        return "allowed" if told["success"] else "denied"


def _make_keys(count: int, calls: int) -> tuple[str, list[str]]:
    """An access key without budget, and keys whose plans let about nine calls of ten pass."""
    account = accounts.create_account("Simulation", by=BY)
    access_key = accounts.create_access_key(account, name="simulation", by=BY, requests_per_minute=None)
    limit = max(1, calls * 9 // 10 // count)
    plan = plans.create_plan(account, by=BY, name="Simulated", max_requests=limit, request_period="day")
    issued = [keys.issue_api_key(account, by=BY, name=f"key {number}", plan=plan) for number in range(count)]
    return access_key.secret, [each.secret for each in issued]


def _connect(url: str) -> HTTPConnection:
    address = urlsplit(url)
    kind = HTTPSConnection if address.scheme == "https" else HTTPConnection
    return kind(address.hostname or "", address.port, timeout=5)


def _refuse_silence(url: str) -> None:
    connection = _connect(url)
    try:
        connection.request("GET", "/healthz")
        connection.getresponse().read()
    except OSError as error:
        raise CommandError(f"No answer at {url} ({error}): start the server with `make run`.") from error
    finally:
        connection.close()
