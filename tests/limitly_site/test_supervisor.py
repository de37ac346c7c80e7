"""The supervisor: keeps programs running, gives up on one that keeps dying, and leaves nothing behind."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
RUN = """
import sys
from limitly_site.supervisor import Service, Supervisor
services = [Service(f"s{n}", (sys.executable, "-u", "-c", code)) for n, code in enumerate(sys.argv[1:])]
sys.exit(Supervisor(services, out=sys.stdout).run())
"""
SLEEPER = "import os, time; print('pid', os.getpid()); time.sleep(60)"
STUBBORN = "import os, signal, time; signal.signal(15, signal.SIG_IGN); print('pid', os.getpid()); time.sleep(60)"
PARENT = "import os, time; print('pid', os.getpid()); os.fork() or print('pid', os.getpid()); time.sleep(60)"


def _supervise(*codes: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-u", "-c", RUN, *codes],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
        process_group=0,
    )


def _pids(run: "subprocess.Popen[str]", count: int) -> list[int]:
    assert run.stdout is not None
    found: list[int] = []
    while len(found) < count:
        line = run.stdout.readline()
        if "pid" in line:
            found.append(int(line.split()[-1]))
    return found


def _is_gone(pid: int) -> bool:
    for _ in range(50):
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except FileNotFoundError:
            return True
        if state == "Z":
            return True
        time.sleep(0.1)
    return False


def test_sigterm_stops_every_service_and_ends_well() -> None:
    run = _supervise(SLEEPER, SLEEPER)
    pids = _pids(run, 2)
    run.terminate()
    run.communicate(timeout=5)
    assert run.returncode == 0
    assert all(_is_gone(pid) for pid in pids)


def test_ctrl_c_stops_what_a_service_started_too() -> None:
    run = _supervise(PARENT)
    pids = _pids(run, 2)
    run.send_signal(signal.SIGINT)
    run.communicate(timeout=5)
    assert all(_is_gone(pid) for pid in pids)


def test_a_service_that_was_killed_is_started_again() -> None:
    run = _supervise(SLEEPER)
    (first,) = _pids(run, 1)
    os.kill(first, signal.SIGKILL)
    (second,) = _pids(run, 1)
    run.terminate()
    run.communicate(timeout=5)
    assert first != second


def test_a_service_that_keeps_dying_stops_everything_and_its_last_words_are_shown() -> None:
    run = _supervise("print('I cannot'); raise SystemExit(3)", SLEEPER)
    out, _ = run.communicate(timeout=20)
    assert run.returncode == 1
    assert out.count("s0     | I cannot") == 6
    assert out.rstrip().endswith("I cannot")
    assert "died again (status 3)" in out


def test_services_end_with_a_supervisor_that_is_killed() -> None:
    run = _supervise(SLEEPER, SLEEPER)
    pids = _pids(run, 2)
    run.kill()
    run.communicate()
    assert all(_is_gone(pid) for pid in pids)


def test_a_stubborn_service_is_killed_after_ten_seconds() -> None:
    run = _supervise(STUBBORN)
    (pid,) = _pids(run, 1)
    run.terminate()
    out, _ = run.communicate(timeout=15)
    assert "does not stop" in out
    assert _is_gone(pid)


@pytest.mark.parametrize(("given", "asked"), [(None, "5"), ("", "5"), ("30", "30")])
def test_make_run_asks_for_reports_every_five_seconds_unless_told_otherwise(given: str | None, asked: str) -> None:
    told = {name: value for name, value in os.environ.items() if name != "LIMITLY_EXPORT_INTERVAL_S"}
    told |= {} if given is None else {"LIMITLY_EXPORT_INTERVAL_S": given}
    ask = "from limitly_site import supervisor as s; s._run = lambda *_: print(s.settings.LIMITLY_EXPORT_INTERVAL_S)"
    result = subprocess.run(
        [sys.executable, "-c", f"{ask}; s.main()"], cwd=ROOT, env=told, capture_output=True, text=True, check=True
    )
    assert result.stdout.strip() == asked
