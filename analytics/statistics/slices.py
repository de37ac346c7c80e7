"""Which rows of traffic a page about an app sums: of when, of which environments, endpoints, consumers and sources."""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, NamedTuple

from analytics.models import App, Endpoint, Record
from analytics.selection import Chosen, Selection, select_traffic
from analytics.sources import InForce, in_force, predicate
from analytics.traffic import BY_CONSUMER, TOTALS


class Where(NamedTuple):
    """Rows of `table` for which `sql` holds."""

    table: str
    sql: str
    arguments: list[Any]


@dataclass(frozen=True, slots=True)
class Slice:
    """Traffic of [start, end), which are quarter hours, of each environment's source in force."""

    selection: Selection
    start: datetime
    end: datetime
    tiles: list[InForce]

    def rows(self, *, by_consumer: bool = False) -> Where:
        """Of the smaller table, unless consumers are asked for. Columns stand unqualified."""
        needs_consumers = by_consumer or self.selection.consumer_id is not None
        sources, of_sources = predicate(self.tiles, time="quarter")
        selected, of_selection = self.selection.predicate()
        return Where(
            BY_CONSUMER if needs_consumers else TOTALS,
            f"app_id = %s AND quarter >= %s AND quarter < %s AND {sources} AND {selected}",
            [self.selection.app_id, self.start, self.end, *of_sources, *of_selection],
        )


def slice_of(
    app: App,
    *,
    start: datetime,
    end: datetime,
    environment_id: int | None = None,
    endpoint_id: int | None = None,
    consumer_id: int | None = None,
) -> Slice | None:
    """None where an id is of another app, or of none. Five SELECTs at most."""
    selection = select_traffic(app, environment_id=environment_id, consumer_id=consumer_id)
    if selection is None:
        return None
    if endpoint_id is not None:
        endpoint = Endpoint.objects.filter(app=app, pk=endpoint_id).only("is_excluded").first()
        if endpoint is None:
            return None
        selection = replace(selection, endpoints=Chosen([] if endpoint.is_excluded else [endpoint_id], 1), excluded=())
    return Slice(selection, start, end, in_force(selection.environments, record=Record.TRAFFIC, start=start, end=end))
