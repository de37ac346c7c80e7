"""Partitions that are not there: found before rows go into them, made before the transaction is tried again."""

from collections.abc import Callable, Iterable
from datetime import datetime
from typing import TypeVar

from analytics.partitions import MINUTES, QUARTERS, REQUESTS
from keys.partitions import Partitions, lacking_among

Result = TypeVar("Result")


class LacksPartitions(Exception):
    """Roll back, make them, try again (`making_partitions`)."""

    def __init__(self, lacking: dict[Partitions, set[datetime]]) -> None:
        super().__init__(lacking)
        self.lacking = lacking

    def make(self) -> None:
        """Each table's in a transaction of its own."""
        for partitions, starts in self.lacking.items():
            partitions.make(starts)


def making_partitions(file: Callable[[], Result]) -> Result:
    """What a transaction returns that is run again whenever it lacks a partition, which is made in between."""
    while True:
        try:
            return file()
        except LacksPartitions as lacks:
            lacks.make()


def require_partitions(*, minutes: Iterable[datetime], requests: Iterable[datetime]) -> None:
    """`minutes` are of traffic and resources, `requests` of all that is kept of single requests. One SELECT.

    Errors: LacksPartitions.
    """
    days = {moment.date(): moment for moment in minutes}.values()
    days_of_requests = {moment.date(): moment for moment in requests}.values()
    wanted = dict.fromkeys((*MINUTES, *QUARTERS), days) | dict.fromkeys(REQUESTS, days_of_requests)
    if lacking := lacking_among(wanted):
        raise LacksPartitions(lacking)
