"""Where each thing that was observed belongs: the environment, made when it is first named, and the instance."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from analytics.models import DEFAULT_ENVIRONMENT
from analytics.observations import CumulativePoint, Observed, Traffic
from analytics.rollup.resolving import Resolver

ENVIRONMENT_LIMIT: Final = "environment_limit"


@dataclass(slots=True)
class Placed:
    """What one report says of one instance, where it belongs, which of its traffic counts, and what was left out of it.

    `instance_id` is 0 of decisions, which come of no instance, and beyond INSTANCES_MAX.
    """

    said: Observed
    environment_id: int
    dropped: Counter[str]
    traffic: Sequence[Traffic]
    points: Sequence[CumulativePoint]
    instance_id: int = 0


def place(resolver: Resolver, observed: Sequence[Observed], dropped: Sequence[Counter[str]]) -> list[Placed]:
    """What belongs to an environment for which the app has no room is dropped, item by item (into its Counter)."""
    ids = resolver.environments(_environment_of(said) for said in observed)
    placed = []
    for said, left_out in zip(observed, dropped, strict=True):
        environment_id = ids.get(_environment_of(said))
        if environment_id is None:
            left_out[ENVIRONMENT_LIMIT] += max(1, _items(said))
        else:
            placed.append(Placed(said, environment_id, left_out, said.traffic, said.cumulative))
    return placed


def _environment_of(said: Observed) -> str:
    return said.environment or DEFAULT_ENVIRONMENT


def _items(said: Observed) -> int:
    counted: tuple[Sequence[object], ...]
    counted = said.traffic, said.cumulative, said.requests, said.spans, said.log_lines, said.consumers, said.errors
    return sum(len(items) for items in counted)
