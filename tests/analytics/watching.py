"""How much memory a server holds while it is looked at."""

import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from tests.live_server import LiveServer


def processes(parent: int) -> list[int]:
    """A process and all that it started."""
    started = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
    return [parent, *(pid for child in started for pid in processes(int(child)))]


def resident_bytes(server: LiveServer) -> int:
    lines = [
        line
        for pid in processes(server.process.pid)
        for line in Path(f"/proc/{pid}/status").read_text().splitlines()
        if line.startswith("VmRSS:")
    ]
    return sum(int(line.split()[1]) * 1024 for line in lines)


@dataclass
class Watch:
    """The most that a server's processes hold in memory while it is open."""

    server: LiveServer
    most_bytes: int = 0
    _done: threading.Event = field(default_factory=threading.Event)

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=self._look)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._done.wait(0.005):
            self.most_bytes = max(self.most_bytes, resident_bytes(self.server))
