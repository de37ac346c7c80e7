"""What a web process takes in at once: reports of one app and signal in a time, bytes of bodies in memory."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Final, Self

from analytics.models import ReportKind

PER_MINUTE, PER_SECOND = 1_800, 200
COUNTED_AT_MOST: Final = 10_000
# What a report costs besides its bytes: a task, its headers, a place in the queue.
REPORT_BYTES: Final = 4_096


class NoRoom(Exception):
    """The bodies in memory have reached their bound: this one must come again later."""


@dataclass(slots=True)
class _Count:
    minute: int = -1
    second: int = -1
    in_minute: int = 0
    in_second: int = 0


class Rates:
    """Counted in this process alone: of n web processes an app gets up to n times as much. That guards the machine;
    it is no quota. Of more apps than COUNTED_AT_MOST the one that was silent longest starts anew."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._counts: dict[tuple[int, ReportKind], _Count] = {}  # silent longest first

    def wait_s(self, app_id: int, kind: ReportKind) -> int:
        """0: the report is counted and may come in. Else the seconds after which it may be tried again."""
        now = self._clock()
        count = self._counts.pop((app_id, kind), None) or _Count()
        self._counts[app_id, kind] = count
        if len(self._counts) > COUNTED_AT_MOST:
            del self._counts[next(iter(self._counts))]
        if count.minute != now // 60:
            count.minute, count.in_minute = int(now // 60), 0
        if count.second != now // 1:
            count.second, count.in_second = int(now), 0
        if count.in_minute >= PER_MINUTE:
            return math.ceil(60 - now % 60)
        if count.in_second >= PER_SECOND:
            return 1
        count.in_minute += 1
        count.in_second += 1
        return 0


class Room:
    """For the bodies of one process, from their first byte until they are in the inbox."""

    def __init__(self, at_most_bytes: int) -> None:
        self._left = at_most_bytes

    def hold(self) -> "Held":
        """Room for one report, given back as its `with` block ends. Errors: NoRoom."""
        return Held(self)

    def take(self, size: int) -> None:
        if size > self._left:
            raise NoRoom
        self._left -= size

    def give_back(self, size: int) -> None:
        self._left += size


class Held:
    """What one report holds of the room."""

    def __init__(self, room: Room) -> None:
        self._room = room
        self._size = 0

    def __enter__(self) -> Self:
        self._room.take(REPORT_BYTES)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._room.give_back(REPORT_BYTES + self._size)

    def grow_to(self, size: int) -> None:
        """Room for a body of so many bytes in all. Errors: NoRoom."""
        if size > self._size:
            self._room.take(size - self._size)
            self._size = size
