"""What a table of the staff's desk shows; templates/desk/table.html draws it.

A view puts a Table into its context, and its page says `{% include "desk/table.html" with table=endpoints %}`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple


class Column(NamedTuple):
    """`href` orders by it; the one that the rows are ordered by `is_sorted`, from the highest down."""

    title: str
    is_number: bool = False
    href: str = ""
    is_sorted: bool = False


class Cell(NamedTuple):
    """`note` stands small behind the text."""

    text: str
    href: str = ""
    note: str = ""


@dataclass(frozen=True, slots=True)
class Table:
    """The first cell of each row names it. `empty` says what it means that there is none, and what to do.

    A long one scrolls within itself, so that what stands below stays near.
    """

    title: str
    columns: Sequence[Column]
    rows: Sequence[Sequence[Cell]]
    empty: str
    note: str = ""
    is_long: bool = False
    next: str = ""
    previous: str = ""

    @property
    def cells(self) -> list[list[tuple[Column, Cell]]]:
        return [list(zip(self.columns, row, strict=True)) for row in self.rows]


class Figure(NamedTuple):
    """One number that a page begins with."""

    title: str
    text: str
    note: str = ""
