"""What an export consists of, and how it is written: a JSON object a line, or CSV without formulas (pure)."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Final, NamedTuple

import msgspec

from accounts.csv_cells import csv_rows

Row = dict[str, object]


class Page(NamedTuple):
    """Rows in order of time, and the time up to which nothing is left. It may be empty with more to come."""

    rows: list[Row]
    read_up_to: datetime


ENCODER: Final = msgspec.json.Encoder()


def ndjson(rows: Iterable[Mapping[str, object]]) -> bytes:
    return ENCODER.encode_lines(rows)


def csv_lines(rows: Iterable[Mapping[str, object]]) -> bytes:
    """RFC 4180; null is an empty cell, a list its JSON."""
    return csv_rows([_flat(value) for value in row.values()] for row in rows)


def csv_head(names: Sequence[str]) -> bytes:
    return csv_rows([names])


def _flat(value: object) -> object:
    return ENCODER.encode(value).decode() if isinstance(value, list) else value
