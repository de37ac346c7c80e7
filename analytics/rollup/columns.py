"""Rows as PostgreSQL's unnest takes them: an array for each column, as text.

Psycopg's own arrays ask every value in Python how it is to be written; these know numbers, instants and texts alone.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime


def columns(rows: Iterable[Sequence[object]]) -> list[str]:
    """There must be rows. An array within (of histograms) is given as its text."""
    return ["{" + ",".join(map(_text, column)) + "}" for column in zip(*rows, strict=True)]


def _text(value: object) -> str:
    if isinstance(value, str):
        escaped = value.replace("\\", "\\\\").replace('"', '\\"')
        return f'"{escaped}"'
    if isinstance(value, datetime):
        return value.isoformat()
    return "NULL" if value is None else str(value)
