"""A STAND-IN, to be discarded when the real roll-up is merged: partitions that lack are made between two attempts."""

from collections.abc import Callable
from datetime import datetime
from typing import TypeVar

from keys.partitions import Partitions

Result = TypeVar("Result")


class LacksPartitions(Exception):
    def __init__(self, lacking: dict[Partitions, set[datetime]]) -> None:
        super().__init__(lacking)
        self.lacking = lacking

    def make(self) -> None:
        for partitions, starts in self.lacking.items():
            partitions.make(starts)


def making_partitions(file: Callable[[], Result]) -> Result:
    """What a transaction returns that is run again whenever it lacks a partition, which is made in between."""
    while True:
        try:
            return file()
        except LacksPartitions as lacks:
            lacks.make()
