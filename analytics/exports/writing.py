"""What an export consists of, and how it is written: a JSON object a line, or CSV without formulas (pure)."""

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Final, NamedTuple

import msgspec

Row = dict[str, object]


class Page(NamedTuple):
    """Rows in order of time, and the time up to which nothing is left. It may be empty with more to come."""

    rows: list[Row]
    read_up_to: datetime


ENCODER: Final = msgspec.json.Encoder()
# A cell that begins with one of these is reckoned by spreadsheets (OWASP, CSV injection); the last four are full-width.
FORMULA_MARKS: Final = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")


def ndjson(rows: Iterable[Mapping[str, object]]) -> bytes:
    return ENCODER.encode_lines(rows)


def csv_lines(rows: Iterable[Mapping[str, object]]) -> bytes:
    """RFC 4180; null is an empty cell, a list its JSON."""
    return _lines([_cell(value) for value in row.values()] for row in rows)


def csv_head(names: Sequence[str]) -> bytes:
    return _lines([names])


def _lines(rows: Iterable[Sequence[object]]) -> bytes:
    written = io.StringIO()
    csv.writer(written).writerows(rows)
    return written.getvalue().encode()


def _cell(value: object) -> object:
    if isinstance(value, list):
        value = ENCODER.encode(value).decode()
    if isinstance(value, str) and value.startswith(FORMULA_MARKS):
        return f"'{value}"
    return value
