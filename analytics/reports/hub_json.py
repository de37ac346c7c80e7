"""How the JSON of hub reports is read: bounded, item by item, and mended where SDKs are known to break it (mending)."""

import io
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Final, Generic, TypeVar

import msgspec
from msgspec.json import Decoder

from analytics.models import ReportKind
from analytics.observations import BadReport
from analytics.reports.mending import mended

ITEMS_MAX: Final = 100_000
TEXT_MAX_BYTES: Final = 6 * 1024 * 1024  # no SDK sends more JSON in one piece; a hub's body has 5 MiB at most
COUNTED_FIRST_BYTES: Final = 1024 * 1024  # a longer list is counted before its items are made
NOTHING: Final = msgspec.Raw(b"null")

T = TypeVar("T")
V = TypeVar("V")

_RAWS: Final = Decoder(list[msgspec.Raw])


class BadItem(Exception):
    """An item that is left out of a report; `reason` is a word that does not change (DroppedItems.reason)."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(slots=True)
class Tally:
    """How many items of a report were read, and how many of them were left out, by reason."""

    items: int = 0
    dropped: Counter[str] = field(default_factory=Counter)

    def take(self, count: int) -> None:
        """Errors: BadReport too_many."""
        self.items += count
        if self.items > ITEMS_MAX:
            raise BadReport("too_many", f"over {ITEMS_MAX} items")

    def drop(self, reason: str, count: int = 1) -> None:
        self.dropped[reason] += count

    def kept(self, items: Iterable[T], make: Callable[[T], V]) -> list[V]:
        """What was made of the items, but of those that raised BadItem: they are counted here."""
        found = []
        for item in items:
            try:
                found.append(make(item))
            except BadItem as bad:
                self.drop(bad.reason)
        return found


class Items(Generic[T]):
    """A list within a report: null and absent are empty, an item of a wrong type is left out alone.

    Mere parts of an item, such as headers, do not count among the report's items.
    """

    def __init__(self, many: type[list[T]], one: type[T], *, are_parts: bool = False) -> None:
        self._many = Decoder(many)
        self._one = Decoder(one)
        self._are_parts = are_parts

    def read(self, raw: msgspec.Raw, tally: Tally) -> list[T]:
        """Errors: BadReport too_many."""
        if raw == NOTHING:
            return []
        try:
            if is_large := len(memoryview(raw)) > COUNTED_FIRST_BYTES:
                self._take(len(_raws(raw)), tally)
            found = self._read(raw, tally)
        except BadItem as bad:
            tally.drop(bad.reason)
            return []
        if not is_large:
            self._take(len(found), tally)
        return found

    def _take(self, count: int, tally: Tally) -> None:
        (Tally() if self._are_parts else tally).take(count)

    def _read(self, raw: msgspec.Raw, tally: Tally) -> list[T]:
        try:
            return self._many.decode(raw)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return tally.kept(_raws(raw), self._item)

    def _item(self, raw: msgspec.Raw) -> T:
        try:
            return read(raw, self._one)
        except BadReport as bad:
            raise BadItem(bad.reason) from bad


def read(text: bytes | msgspec.Raw, decoder: Decoder[T]) -> T:
    """Errors: BadReport bad_json, too_deep, too_large, unknown_shape."""
    if len(memoryview(text)) > TEXT_MAX_BYTES:
        raise BadReport("too_large", f"over {TEXT_MAX_BYTES} bytes of JSON in one piece")
    try:
        return _decode(text, decoder)
    except BadReport as bad:
        if bad.reason != "bad_json":
            raise
        return _decode(mended(bytes(text)), decoder)


def lines(body: bytes, decoder: Decoder[T], tally: Tally) -> Iterator[T]:
    """JSON lines; what cannot be read is left out alone. Errors: BadReport too_many; where no line can be read, the
    first one's reason."""
    first_bad, has_good = BadReport("bad_json", "not a single line"), False
    for line in io.BytesIO(body):
        if line.isspace():
            continue
        tally.take(1)
        try:
            found = read(line, decoder)
        except BadReport as bad:
            first_bad = first_bad if tally.dropped else bad
            tally.drop(bad.reason)
        else:
            has_good = True
            yield found
    if not has_good:
        raise first_bad


def identity(kind: ReportKind, message_id: str | None, body: bytes) -> bytes:
    """By which a report is known within its app: what its sender calls it, else its content. 32 bytes."""
    if message_id:
        return sha256(f"{kind.value}:id:{message_id}".encode("utf-8", "surrogatepass")).digest()
    return sha256(f"{kind.value}:body:".encode() + body).digest()


def _raws(raw: msgspec.Raw) -> list[msgspec.Raw]:
    """Errors: BadItem unknown_shape, of what is no list."""
    try:
        return _RAWS.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadItem("unknown_shape") from error


def _decode(text: bytes | msgspec.Raw, decoder: Decoder[T]) -> T:
    try:
        return decoder.decode(text)
    except msgspec.ValidationError as error:
        raise BadReport("unknown_shape", str(error)) from error
    except RecursionError as error:
        raise BadReport("too_deep", "nested too deep to be read") from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BadReport("bad_json", str(error)) from error
