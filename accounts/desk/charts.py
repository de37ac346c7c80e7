"""What a chart of the staff's desk shows; templates/desk/chart.html draws it, with a table of the same figures below.

A view puts a Chart into its context, and its page says `{% include "desk/chart.html" with chart=requests %}`.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple

NO_VALUE = "–"


class Kind(StrEnum):
    """How the series stand: beside each other as lines, or on each other as bars."""

    LINES = "line"
    BARS = "bar"


class Series(NamedTuple):
    """`values` has one for each label of its chart; None where there is none, which leaves a gap."""

    name: str
    values: Sequence[float | None]


class Row(NamedTuple):
    label: str
    values: list[str]


@dataclass(frozen=True, slots=True)
class Chart:
    """`labels` say what each value is of, such as a time; `unit` follows each figure. `true_until`: later ones lack.

    `is_sample`: of some labels nothing was looked at; lines go on over them.
    """

    title: str
    labels: Sequence[str]
    series: Sequence[Series]
    kind: Kind = Kind.LINES
    unit: str = ""
    true_until: datetime | None = None
    is_sample: bool = False

    @property
    def is_empty(self) -> bool:
        return not any(value for series in self.series for value in series.values)

    @property
    def data(self) -> str:
        """What limitly/desk.js reads: {kind, unit, isSample, labels, series: [{name, values}]}."""
        series = [{"name": each.name, "values": list(each.values)} for each in self.series]
        told = {"kind": self.kind, "unit": self.unit, "isSample": self.is_sample}
        return json.dumps(told | {"labels": list(self.labels), "series": series})

    @property
    def rows(self) -> list[Row]:
        columns = zip(*(each.values for each in self.series), strict=True)
        return [
            Row(label, [shown(each) for each in values]) for label, values in zip(self.labels, columns, strict=True)
        ]


def shown(value: float | None) -> str:
    """A figure as tables show it: thousands apart, at most two digits behind the point."""
    if value is None:
        return NO_VALUE
    return f"{value:,.0f}" if value == int(value) else f"{value:,.2f}"
