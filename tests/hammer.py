"""A process of many threads that call validate without pause; run as a program, it prints what it was answered.

Each call names an endpoint of its own, by which the ledger's row can be found again.
"""

import json
import subprocess
import sys
import threading
import time
from dataclasses import asdict, dataclass, field
from http.client import HTTPConnection, HTTPException
from typing import Any, NamedTuple
from urllib.parse import urlsplit

GIVE_UP_S = 60


@dataclass(frozen=True, slots=True)
class Orders:
    """What to do: until `denials` denials a thread, or for `seconds`."""

    url: str
    access_key: str
    api_keys: list[str]
    threads: int
    name: str = "h"
    cost: int = 1
    denials: int = 0
    seconds: float = 0.0
    pause_s: float = 0.0


class Call(NamedTuple):
    """`key` is its number in the orders; asked and answered in Unix seconds, between which it was decided."""

    endpoint: str
    key: int
    allowed: bool
    remaining: int
    asked: float
    answered: float


@dataclass(slots=True)
class Answered:
    """Calls answered 200; and how others ended."""

    calls: list[Call] = field(default_factory=list)
    others: dict[str, int] = field(default_factory=dict)

    @property
    def allowed(self) -> list[Call]:
        return [call for call in self.calls if call.allowed]


def send(orders: Orders) -> "subprocess.Popen[str]":
    command = [sys.executable, __file__, json.dumps(asdict(orders))]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def collect(process: "subprocess.Popen[str]", timeout_s: float = 120) -> Answered:
    out, _ = process.communicate(timeout=timeout_s)
    told = json.loads(out)
    return Answered([Call(*call) for call in told["calls"]], told["others"])


class _Thread(threading.Thread):
    def __init__(self, orders: Orders, number: int, answered: Answered) -> None:
        super().__init__()
        self.orders, self.number, self.answered = orders, number, answered

    def run(self) -> None:
        address = urlsplit(self.orders.url)
        connection = HTTPConnection(address.hostname or "", address.port, timeout=10)
        ends = time.time() + (self.orders.seconds or GIVE_UP_S)
        calls = denials = 0
        while time.time() < ends and (not self.orders.denials or denials < self.orders.denials):
            calls += 1
            denials += not self._call(connection, calls)
            time.sleep(self.orders.pause_s)
        connection.close()

    def _call(self, connection: HTTPConnection, call: int) -> bool:
        """Whether it was not denied."""
        key = (self.number + call) % len(self.orders.api_keys)
        endpoint = f"/{self.orders.name}/{self.number}/{call}"
        body = {
            "api_key": self.orders.api_keys[key],
            "endpoint": endpoint,
            "method": "GET",
            "cost": self.orders.cost,
        }
        headers = {"Authorization": f"Bearer {self.orders.access_key}", "Content-Type": "application/json"}
        asked = time.time()
        try:
            connection.request("POST", "/v1/validate", json.dumps(body), headers)
            response = connection.getresponse()
            told: dict[str, Any] = json.loads(response.read())
        except (OSError, HTTPException, ValueError) as error:
            connection.close()
            self._count(type(error).__name__)
            return True
        if response.status != 200:
            self._count(str(response.status))
            return response.status != 404
        remaining = told["details"]["remaining"]
        self.answered.calls.append(Call(endpoint, key, told["success"], remaining, asked, time.time()))
        return bool(told["success"])

    def _count(self, how: str) -> None:
        self.answered.others[how] = self.answered.others.get(how, 0) + 1


def main() -> None:
    orders = Orders(**json.loads(sys.argv[1]))
    answered = Answered()
    threads = [_Thread(orders, number, answered) for number in range(orders.threads)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    json.dump({"calls": answered.calls, "others": answered.others}, sys.stdout)


if __name__ == "__main__":
    main()
