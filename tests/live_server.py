"""A real web process, served as in production, on the stores of the test that asks for it."""

import os
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from urllib.parse import quote

import httpx
from django.conf import settings
from django.db import connection

from limitly_site.supervisor import web_command

START_WITHIN_S = 20


@dataclass(frozen=True, slots=True)
class LiveServer:
    url: str
    process: subprocess.Popen[bytes]


def store_environment() -> dict[str, str]:
    """What a process of its own needs to work on this test's stores."""
    told = connection.settings_dict
    database_url = f"postgresql://{told['USER']}@/{told['NAME']}?host={quote(str(told['HOST']))}"
    return os.environ | {"DATABASE_URL": database_url, "REDIS_URL": settings.REDIS_URL}


@contextmanager
def serve(*, processes: int = 1, **environment: str) -> Iterator[LiveServer]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = web_command("127.0.0.1", port, processes=processes)
    process = subprocess.Popen(command, env=store_environment() | environment)
    try:
        server = LiveServer(f"http://127.0.0.1:{port}", process)
        _wait_until_alive(server)
        yield server
    finally:
        process.terminate()
        process.wait(10)


def _wait_until_alive(server: LiveServer) -> None:
    ends = time.monotonic() + START_WITHIN_S
    while time.monotonic() < ends:
        try:
            if httpx.get(f"{server.url}/healthz").status_code == 200:
                return
        except httpx.TransportError:
            time.sleep(0.1)
    raise TimeoutError(f"no answer of {server.url} within {START_WITHIN_S} s")
