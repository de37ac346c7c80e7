"""`simulate_app`: the lively traffic of an instrumented app: consumers, errors, slow endpoints, request logs."""

import base64
import gzip
import json
import random
import re
import sys
import time
import uuid
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import click
from django.core.management.base import BaseCommand, CommandError, CommandParser

from analytics.management.arguments import find_app
from analytics.models import App

EVERY_S = 2.0
SDK = {"python": "3.11.7", "apitally": "0.25.1", "fastapi": "0.165.0", "app": "1.2.3"}


class Route(NamedTuple):
    """An endpoint of the demo: how often it is called, how long it takes, how often it fails."""

    method: str
    path: str
    weight: int
    typical_s: float
    failing: float


ROUTES = (
    Route("GET", "/products", 30, 0.030, 0.001),
    Route("GET", "/products/{product_id}", 40, 0.012, 0.002),
    Route("POST", "/orders", 12, 0.140, 0.02),
    Route("GET", "/orders/{order_id}", 10, 0.025, 0.004),
    Route("GET", "/reports/daily", 3, 1.900, 0.05),
    Route("DELETE", "/carts/{cart_id}", 5, 0.018, 0.001),
)
PEOPLE = (
    ("acme", "Acme Ltd", "Enterprise"),
    ("globex", "Globex", "Enterprise"),
    ("initech", "Initech", "Startup"),
    ("hooli", "Hooli", "Startup"),
    ("stark", "Stark Industries", ""),
)


@dataclass(frozen=True, slots=True)
class Call:
    """One simulated request and how it ended."""

    route: Route
    consumer: str
    at: float
    took_s: float
    status: int
    sent_bytes: int


class Command(BaseCommand):
    help = "Reports to a running server what an instrumented demo app would: traffic, errors, consumers, request logs."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--app", required=True, help="the app's id or client id")
        parser.add_argument("--env", default="prod")
        parser.add_argument("--rate", type=float, default=20.0, help="requests a second (default: 20)")
        parser.add_argument("--seconds", type=float, default=30.0)
        parser.add_argument("--url", default="http://127.0.0.1:8000")
        parser.add_argument("--json", action="store_true", help="print one JSON object and nothing else")

    def handle(self, *_: Any, **options: Any) -> None:
        if options["rate"] <= 0 or options["seconds"] <= 0:
            raise CommandError("--rate and --seconds must be above 0.")
        app = find_app(options["app"])
        demo = _Demo(app, options["url"], options["env"])
        demo.start()
        rounds = max(1, round(options["seconds"] / EVERY_S))
        statuses: Counter[int] = Counter()
        with click.progressbar(range(rounds), label="reporting", file=sys.stderr) as bar:
            for _round in bar:
                time.sleep(min(EVERY_S, options["seconds"]))
                calls = list(_calls(round(options["rate"] * min(EVERY_S, options["seconds"]))))
                demo.report(calls)
                statuses.update(call.status for call in calls)
        told = {"requests": statuses.total(), "errors": sum(n for status, n in statuses.items() if status >= 400)}
        self.stdout.write(
            json.dumps(told) if options["json"] else f"{told['requests']} requests, {told['errors']} of them errors."
        )


class _Demo:
    """One instance of the demo app, as an SDK of the first generation reports it."""

    def __init__(self, app: App, url: str, environment: str) -> None:
        self._server = urlsplit(url)
        self._path = f"/v2/{app.client_id}/{environment}"
        self._instance = str(uuid.uuid4())

    def start(self) -> None:
        paths = [{"method": route.method, "path": route.path} for route in ROUTES]
        self._post("startup", {"paths": paths, "versions": SDK, "client": "python:starlette"})

    def report(self, calls: list[Call]) -> None:
        self._post("sync", _sync(calls))
        body = gzip.compress(b"".join(json.dumps(_line(call)).encode() + b"\n" for call in calls))
        self._send(f"log?uuid={uuid.uuid4()}", body, {})

    def _post(self, kind: str, told: dict[str, Any]) -> None:
        told = {"instance_uuid": self._instance, "message_uuid": str(uuid.uuid4()), **told}
        self._send(kind, json.dumps(told).encode(), {"Content-Type": "application/json"})

    def _send(self, kind: str, body: bytes, headers: dict[str, str]) -> None:
        """Errors: CommandError, when the server does not take it."""
        connect = HTTPSConnection if self._server.scheme == "https" else HTTPConnection
        connection = connect(self._server.hostname or "", self._server.port, timeout=10)
        try:
            connection.request("POST", f"{self._path}/{kind}", body, headers)
            status = connection.getresponse().status
        except (OSError, HTTPException) as error:
            raise CommandError(f"Nobody answers at {self._server.geturl()}: start `make run` first.") from error
        finally:
            connection.close()
        if status != 202:
            raise CommandError(f"The server answered {status} to {kind.partition('?')[0]}: is the app's hub enabled?")


def _calls(number: int) -> Iterator[Call]:
    for _ in range(number):
        (route,) = random.choices(ROUTES, weights=[route.weight for route in ROUTES])
        took_s = route.typical_s * random.lognormvariate(0, 0.5)
        status = 500 if random.random() < route.failing else 404 if random.random() < 0.02 else 200
        consumer = random.choice(PEOPLE)[0]
        yield Call(
            route, consumer, time.time() - random.random() * EVERY_S, took_s, status, random.randrange(50, 5_000)
        )


def _sync(calls: list[Call]) -> dict[str, Any]:
    grouped: dict[tuple[str, Route, int], list[Call]] = {}
    for call in calls:
        grouped.setdefault((call.consumer, call.route, call.status), []).append(call)
    return {
        "timestamp": time.time(),
        "requests": [_sum(consumer, route, status, same) for (consumer, route, status), same in grouped.items()],
        "validation_errors": [],
        "server_errors": [_error(call) for call in calls if call.status == 500],
        "consumers": [{"identifier": each, "name": name, "group": group or None} for each, name, group in PEOPLE],
        "resources": {"cpu_percent": random.uniform(5, 60), "memory_rss": random.randrange(80, 140) * 1_000_000},
    }


def _sum(consumer: str, route: Route, status: int, calls: list[Call]) -> dict[str, Any]:
    return {
        "consumer": consumer,
        "method": route.method,
        "path": route.path,
        "status_code": status,
        "request_count": len(calls),
        "request_size_sum": 0,
        "response_size_sum": sum(call.sent_bytes for call in calls),
        "response_times": dict(Counter(str(int(call.took_s * 100) * 10) for call in calls)),
        "request_sizes": {},
        "response_sizes": dict(Counter(str(call.sent_bytes // 1000) for call in calls)),
    }


def _error(call: Call) -> dict[str, Any]:
    return {
        "consumer": call.consumer,
        "method": call.route.method,
        "path": call.route.path,
        "type": "builtins.TimeoutError",
        "msg": "the warehouse does not answer",
        "traceback": 'Traceback (most recent call last):\n  File "shop.py", line 41, in reserve\nTimeoutError',
        "sentry_event_id": None,
        "error_count": 1,
    }


def _line(call: Call) -> dict[str, Any]:
    path = re.sub(r"{\w+}", str(random.randrange(1, 500)), call.route.path)
    request = {
        "timestamp": call.at,
        "method": call.route.method,
        "path": call.route.path,
        "url": f"https://shop.example.com{path}",
        "headers": [["user-agent", "shop/1.0"], ["x-forwarded-for", "203.0.113.10"]],
        "consumer": call.consumer,
    }
    body = base64.b64encode(b'{"ok": true}').decode()
    response = {
        "status_code": call.status,
        "response_time": call.took_s,
        "headers": [["content-type", "application/json"]],
        "size": call.sent_bytes,
        "body": body,
    }
    return {"uuid": str(uuid.uuid4()), "request": request, "response": response}
