"""How protobuf frames its fields: a message is walked without being decoded.

A body of 16 MiB may hold eight million empty messages of two bytes; decoded as a whole, they take 1.4 GiB. So what
repeats is found here, and decoded one by one.
"""

from collections.abc import Iterator
from typing import Final

from analytics.observations import BadReport

FIELDS_MAX: Final = 1_000_000
NUMBER: Final = -1
_VARINT, _EIGHT_BYTES, _SIZED, _FOUR_BYTES = 0, 1, 2, 5


class Wire:
    """One body. All its walks together see a million fields at most."""

    __slots__ = ("_seen", "data")

    def __init__(self, data: bytes) -> None:
        self.data = data
        self._seen = 0

    def fields(self, start: int, stop: int) -> Iterator[tuple[int, int, int]]:
        """Of the message in [start, stop): each field's number and where its content starts and stops; of an integer,
        its value and NUMBER. Others are skipped. Errors: BadReport bad_protobuf, too_many."""
        at = start
        while at < stop:
            self._count()
            key, at = self._varint(at)
            kind = key & 7
            if kind == _SIZED:
                size, content = self._varint(at)
                at = content + size
                if at > stop:
                    break
                yield key >> 3, content, at
            elif kind == _VARINT:
                value, at = self._varint(at)
                yield key >> 3, value, NUMBER
            else:
                at += _fixed_size(kind)
        if at > stop:
            raise _broken("a field is longer than its message")

    def parts(self, number: int, start: int, stop: int) -> bytes:
        """Of a message that a field holds; told in parts, they count together."""
        fields = self.fields(start, stop)
        return b"".join(self.data[first:last] for found, first, last in fields if found == number and last != NUMBER)

    def _varint(self, at: int) -> tuple[int, int]:
        try:
            value = self.data[at]
            if value < 0x80:
                return value, at + 1
            value &= 0x7F
            for place in range(1, 10):
                byte = self.data[at + place]
                value |= (byte & 0x7F) << 7 * place
                if byte < 0x80:
                    return value, at + place + 1
        except IndexError:
            raise _broken("it ends in the middle of a field") from None
        raise _broken("an integer of over 64 bits")

    def _count(self) -> None:
        self._seen += 1
        if self._seen > FIELDS_MAX:
            raise BadReport("too_many", f"over {FIELDS_MAX} fields")


def _fixed_size(kind: int) -> int:
    if kind == _EIGHT_BYTES:
        return 8
    if kind == _FOUR_BYTES:
        return 4
    raise _broken(f"a field of kind {kind}")


def _broken(how: str) -> BadReport:
    return BadReport("bad_protobuf", how)
