"""Which environments, endpoints, consumers and statuses of an app a query means.

Names and patterns are resolved here, so that the large tables are asked by ids alone and their indexes serve.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from django.db import connection

from analytics import endpoints
from analytics.models import App, Consumer, Endpoint, Environment
from analytics.partitions import REQUEST_LOGS

STATUS_FORM = re.compile(r"0|[1-9]\d\d|[1-5]xx", re.ASCII)
# Looked up from one status to the next: a few steps down an index of each day, however many rows there are.
STATUSES_ON_FILE = """
WITH RECURSIVE on_file (status_code) AS (
  SELECT min(status_code) FROM analytics_requestlog WHERE app_id = %(app)s AND at >= %(start)s AND at < %(end)s
  UNION ALL
  SELECT (SELECT min(status_code) FROM analytics_requestlog
           WHERE app_id = %(app)s AND at >= %(start)s AND at < %(end)s AND status_code > on_file.status_code)
    FROM on_file WHERE on_file.status_code IS NOT NULL)
SELECT status_code FROM on_file WHERE status_code IS NOT NULL
"""


@dataclass(frozen=True, slots=True)
class Chosen:
    """What is wanted (endpoints' ids, or statuses), out of how many that are known."""

    keys: list[int]
    known: int

    @property
    def share(self) -> float:
        return len(self.keys) / self.known if self.known else 0.0


@dataclass(frozen=True, slots=True)
class Selection:
    """What a query means. None is whichever; where a list is empty, no row can match.

    `excluded` names endpoints that staff left out; they are never among `endpoints`. `known_environments` says how many
    the app has, where some of them were chosen.
    """

    app_id: int
    environments: list[Environment]
    endpoints: Chosen | None = None
    excluded: tuple[int, ...] = ()
    consumer_id: int | None = None
    statuses: Chosen | None = None
    known_environments: int | None = None

    @property
    def is_empty(self) -> bool:
        chosen = (self.endpoints, self.statuses)
        return not self.environments or any(one is not None and not one.keys for one in chosen)

    @property
    def is_whole(self) -> bool:
        """Whether it asks for neither endpoints (beyond leaving some out), nor a consumer, nor statuses."""
        return self.endpoints is None and self.consumer_id is None and self.statuses is None

    def predicate(self) -> tuple[str, list[object]]:
        """SQL (and its arguments) over endpoint_id, consumer_id and status_code. For environments and their sources
        see analytics.sources."""
        named: list[tuple[str, object]] = [
            ("endpoint_id = ANY(%s)", None if self.endpoints is None else self.endpoints.keys),
            ("endpoint_id <> ALL(%s)", list(self.excluded) or None),
            ("consumer_id = %s", self.consumer_id),
            ("status_code = ANY(%s)", None if self.statuses is None else self.statuses.keys),
        ]
        given = [(term, argument) for term, argument in named if argument is not None]
        return " AND ".join(["TRUE", *(term for term, _ in given)]), [argument for _, argument in given]


def select_traffic(app: App, *, environment_id: int | None = None, consumer_id: int | None = None) -> Selection | None:
    """None where an id is of another app, or of none. Three SELECTs at most."""
    environments = environments_of(app, environment_id)
    if environment_id is not None and not environments:
        return None
    if consumer_id is not None and not is_consumer_of(app, consumer_id):
        return None
    return Selection(app.pk, environments, excluded=excluded_endpoints(app), consumer_id=consumer_id)


def select_requests(
    app: App,
    *,
    start: datetime,
    end: datetime,
    environment_id: int | None = None,
    consumer_id: int | None = None,
    methods: Iterable[str] = (),
    path: str | None = None,
    statuses: Iterable[str] = (),
) -> Selection:
    """`statuses` are codes and classes (status_names). Three SELECTs at most."""
    methods, statuses = list(methods), list(statuses)
    by_route = bool(methods) or path is not None
    known = environments_of(app)
    return Selection(
        app.pk,
        known if environment_id is None else [each for each in known if each.pk == environment_id],
        known_environments=None if environment_id is None else len(known),
        endpoints=choose_endpoints(app, methods=methods, path=path) if by_route else None,
        excluded=() if by_route else excluded_endpoints(app),
        consumer_id=consumer_id,
        statuses=choose_statuses(statuses, on_file=statuses_on_file(app, start=start, end=end)) if statuses else None,
    )


def environments_of(app: App, environment_id: int | None = None) -> list[Environment]:
    """All, or that one; none for another app's. One SELECT."""
    rows = Environment.objects.filter(app=app).order_by("id")
    return list(rows if environment_id is None else rows.filter(pk=environment_id))


def excluded_endpoints(app: App) -> tuple[int, ...]:
    """Their ids. One SELECT."""
    return tuple(Endpoint.objects.filter(app=app, is_excluded=True).values_list("pk", flat=True))


def counted_endpoints(app: App) -> list[Endpoint]:
    """All but those that staff left out; of no route those whose path is empty. One SELECT."""
    return list(Endpoint.objects.filter(app=app, is_excluded=False).only("method", "path", "expected_statuses"))


def choose_endpoints(app: App, *, methods: Iterable[str] = (), path: str | None = None) -> Chosen:
    """By method and pattern; what matched no route has a method, but never matches a path. One SELECT."""
    counted = counted_endpoints(app)
    wanted, matches = set(methods), endpoints.pattern(path or "")
    keys = [
        endpoint.pk
        for endpoint in counted
        if (not wanted or endpoint.method in wanted)
        and (path is None or (endpoint.path != "" and matches(endpoint.path)))
    ]
    return Chosen(keys, len(counted))


def is_consumer_of(app: App, consumer_id: int) -> bool:
    return Consumer.objects.filter(app=app, pk=consumer_id).exists()


def statuses_on_file(app: App, *, start: datetime, end: datetime) -> list[int]:
    """Those of the request logs of the days that [start, end) touches, ascending. One SELECT."""
    day = REQUEST_LOGS.span
    days: dict[str, int | datetime] = {
        "app": app.pk,
        "start": day.start_of(start),
        "end": day.next_after(day.start_of(end)),
    }
    with connection.cursor() as cursor:
        cursor.execute(STATUSES_ON_FILE, days)
        return [status for (status,) in cursor.fetchall()]


def status_names(text: str) -> list[str]:
    """`2xx, 400` -> `["2xx", "400"]`. Errors: ValueError."""
    names = sorted({name.strip().lower() for name in text.split(",") if name.strip()})
    if not names or not all(STATUS_FORM.fullmatch(name) for name in names):
        raise ValueError("Give statuses and classes of them, separated by commas: 2xx,400.")
    return names


def choose_statuses(names: Iterable[str], *, on_file: list[int]) -> Chosen:
    """Of the statuses on file those that these codes and classes mean."""
    wanted = set(names)
    keys = [status for status in on_file if str(status) in wanted or f"{status // 100}xx" in wanted]
    return Chosen(keys, len(on_file))
