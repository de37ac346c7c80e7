"""Which endpoints are routes, as their app announced or reported them: raw paths of decisions are folded into these."""

from collections.abc import Iterable

from analytics.models import Endpoint
from analytics.templates import OTHER_PATH


def announce(endpoint_ids: Iterable[int]) -> None:
    """For good: a process that starts without a route may be an older one. Those that are marked are not written again.

    What stands for endpoints beyond an app's limit, or for requests without a route, is no route that folds paths. One
    statement, none of nothing.
    """
    rows = Endpoint.objects.filter(pk__in=set(endpoint_ids), is_announced=False)
    rows.exclude(path__in=("", OTHER_PATH)).update(is_announced=True)
