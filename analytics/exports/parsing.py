"""How what is asked of an export is read: JSON values, strictly; a fault is a sentence and its place."""

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, tzinfo
from zoneinfo import ZoneInfo

from accounts.zones import zone_named

EARLIEST, LATEST = datetime(1970, 1, 1, tzinfo=UTC), datetime(3000, 1, 1, tzinfo=UTC)
TEXT_LENGTH, LIST_LENGTH = 4096, 1000
NUMBER_MAX = 2**63 - 1


class BadExport(ValueError):
    """What is asked cannot be done; `place` leads to the fault: ("filters", "2", "op")."""

    def __init__(self, sentence: str, *place: str) -> None:
        super().__init__(sentence)
        self.sentence = sentence
        self.place = place


@contextmanager
def at(*place: str) -> Iterator[None]:
    """What is wrong in here is wrong at this place."""
    try:
        yield
    except BadExport as bad:
        raise BadExport(bad.sentence, *place, *bad.place) from None


def text(value: object) -> str:
    if not isinstance(value, str):
        raise BadExport("Give a string.")
    if len(value) > TEXT_LENGTH:
        raise BadExport(f"Give at most {TEXT_LENGTH} characters.")
    if any(character == "\0" or "\ud800" <= character <= "\udfff" for character in value):
        raise BadExport("It holds a NUL or half of a surrogate pair.")  # which PostgreSQL cannot hold
    return value


def whole_number(value: object, *, at_least: int = -NUMBER_MAX, at_most: int = NUMBER_MAX) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise BadExport("Give a whole number.")
    if not at_least <= value <= at_most:
        raise BadExport(f"Give a number from {at_least} to {at_most}.")
    return value


def moment(value: object, *, zone: tzinfo = UTC) -> datetime:
    """Of an ISO 8601 time; one without offset is of this zone."""
    try:
        given = datetime.fromisoformat(text(value).upper())  # RFC 3339 knows `t` and `z`, too
        found = (given if given.tzinfo else given.replace(tzinfo=zone)).astimezone(UTC)
    except BadExport:
        raise
    except (ValueError, OverflowError):
        raise BadExport("Give an ISO 8601 time.") from None
    if not EARLIEST <= found < LATEST:
        raise BadExport("Give a time of the years 1970 to 2999.")
    return found


def time_zone(value: object) -> ZoneInfo:
    zone = zone_named(text(value))
    if zone is None:
        raise BadExport("Give an IANA time zone, such as America/New_York.")
    return zone


def one_of(value: object, names: Collection[str]) -> str:
    if not isinstance(value, str) or value not in names:
        raise BadExport(f"Give one of {', '.join(names)}.")
    return value


def items(value: object) -> list[object]:
    if not isinstance(value, list):
        raise BadExport("Give a list.")
    if len(value) > LIST_LENGTH:
        raise BadExport(f"Give at most {LIST_LENGTH} items.")
    return value


def names_of(value: object, names: Collection[str]) -> list[str]:
    """Those that are listed, each once, in the order given."""
    found: dict[str, None] = {}
    for number, item in enumerate(items(value)):
        with at(str(number)):
            found[one_of(item, names)] = None
    return list(found)


def time_range(since: datetime, until: datetime) -> None:
    """Errors: BadExport for one that holds no moment."""
    if since >= until:
        raise BadExport("Give a time before `until`.", "since")
