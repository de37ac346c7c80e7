"""How a cell of a CSV is written so that no spreadsheet takes it for a formula (pure)."""

import csv
import io
from collections.abc import Iterable, Sequence
from typing import Final

# A cell that begins with one of these is reckoned by spreadsheets (OWASP, CSV injection); the last four are full-width.
FORMULA_MARKS: Final = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")


def csv_rows(rows: Iterable[Sequence[object]]) -> bytes:
    """RFC 4180 in UTF-8; None is an empty cell."""
    written = io.StringIO()
    csv.writer(written).writerows([guarded(value) for value in row] for row in rows)
    return written.getvalue().encode()


def guarded(value: object) -> object:
    """A text with an apostrophe before it where it would be reckoned; anything else as it is (a number is one)."""
    return f"'{value}" if isinstance(value, str) and value.startswith(FORMULA_MARKS) else value
