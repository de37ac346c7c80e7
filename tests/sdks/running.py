"""How an app with an SDK in it is run: in its own environment (made by `make test`), as a process of its own."""

import os
import socket
import subprocess
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
ENDS_WITHIN_S = 60


def run_app(script: str, *, sdk: str, folder: Path, **environment: str) -> str:
    """What it prints, once it has made its calls and its SDK has sent everything."""
    python = HERE / ".venv" / sdk / "bin" / "python"
    if not python.exists():
        pytest.fail(f"{python} is missing: `make test` makes it")
    # Apitally's second generation keeps silent where it believes itself in a test.
    told = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "OTEL_", "DJANGO_"))}
    told |= environment | {"SHOP_PORT": str(_free_port()), "TMPDIR": str(folder)}
    command = [python, HERE / "apps" / script]
    done = subprocess.run(
        command, env=told, check=True, timeout=ENDS_WITHIN_S, cwd=folder, capture_output=True, text=True
    )
    return done.stdout


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
    return port
