"""What OTLP's values become: plain, clean and bounded, fit for a text column or jsonb."""

import base64
import math
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple
from uuid import UUID

from analytics.reports.cleaning import clean
from analytics.reports.otlp_messages import AnyValue, KeyValue

NAME_LENGTH: Final = 1_024
DEPTH_MAX: Final = 8
WHOLE_MAX: Final = 2**63 - 1


class Room(NamedTuple):
    """How long a text, and how many elements a list or mapping, may be."""

    text: int
    items: int


SHOWN: Final = Room(8_192, 128)  # attributes of spans and log records
TOLD: Final = Room(65_536, 10_000)  # what an event says: stack traces, counts by consumer


def attributes_of(pairs: Sequence[KeyValue], room: Room = SHOWN) -> dict[str, object]:
    """By name, the first `room.items` of them."""
    return {clean(pair.key, NAME_LENGTH): plain(pair.value, room) for pair in pairs[: room.items]}


def plain(value: AnyValue, room: Room = SHOWN, depth: int = 0) -> object:
    """Bytes as base64, numbers that JSON lacks as text, what lies too deep as None."""
    if text := value.string_value:  # nearly all are, and asking which one it is takes longest
        return clean(text, room.text)
    kind = value.WhichOneof("value")
    if kind in ("int_value", "bool_value"):
        return value.int_value if kind == "int_value" else value.bool_value
    if kind == "double_value":
        return value.double_value if math.isfinite(value.double_value or 0) else str(value.double_value)
    if kind == "bytes_value":
        return base64.b64encode((value.bytes_value or b"")[: room.text]).decode()[: room.text]
    if kind == "string_value":
        return ""
    if depth == DEPTH_MAX:
        return None
    if value.array_value and kind == "array_value":
        return [plain(each, room, depth + 1) for each in value.array_value.values[: room.items]]
    if value.kvlist_value and kind == "kvlist_value":
        pairs = value.kvlist_value.values[: room.items]
        return {clean(pair.key, NAME_LENGTH): plain(pair.value, room, depth + 1) for pair in pairs}
    return None


def text(attributes: Mapping[str, object], *names: str, at_most: int = SHOWN.text) -> str:
    """Of the first name under which one was told; '' when none was."""
    for name in names:
        value = attributes.get(name)
        if value is not None and value != "":
            return value[:at_most] if isinstance(value, str) else str(value)[:at_most]
    return ""


def whole(attributes: Mapping[str, object], *names: str) -> int | None:
    """A whole number of a bigint's range, None where none of the names has one."""
    for name in names:
        found = whole_number(attributes.get(name))
        if found is not None:
            return found
    return None


def whole_number(value: object) -> int | None:
    """Of a text of digits, too, and of 200.0: some languages have one kind of number."""
    if isinstance(value, str) and not (value.isascii() and value.isdigit() and len(value) < 20):
        return None
    if isinstance(value, float) and not value.is_integer():
        return None
    if not isinstance(value, str | int | float) or isinstance(value, bool):
        return None
    number = int(value)
    return number if -WHOLE_MAX <= number <= WHOLE_MAX else None


def version_8(digest: bytes) -> UUID:
    """Of a digest's first 128 bits all but the six that say "a UUID made in a way of its own" (RFC 9562, 5.8)."""
    number = int.from_bytes(digest[:16])
    return UUID(int=number & ~(0xF << 76) & ~(0x3 << 62) | 0x8 << 76 | 0x2 << 62)
