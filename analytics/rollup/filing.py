"""From observations to tables: what reports and decisions say of one app, filed in the caller's transaction.

The tables are written in one order, each table's rows in the order of its key, under the app's turn (locking). What
comes in whatever order, in whatever batches, ends in the same tables; what may end otherwise says so where it does.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Final

from django.db import connection
from django.db.backends.utils import CursorWrapper

from analytics.models import App, Record, RequestSource, Source
from analytics.observations import Call, Observed, Request, Traffic
from analytics.rollup import consumers, cumulative, descriptions, errors, instances, merging, resources, source_facts
from analytics.rollup import request_writing as requests
from analytics.rollup import traffic_writing as traffic
from analytics.rollup.announcing import announce
from analytics.rollup.locking import wait_for_turn
from analytics.rollup.merging import Cell, Sums
from analytics.rollup.partitioning import require_partitions
from analytics.rollup.placing import Placed, place
from analytics.rollup.resolving import Ids, Resolver
from analytics.rollup.source_facts import Fact

TOO_MANY: Final = "too_many"  # more requests or bytes than any app has in a minute


def file_observed(app: App, observed: Sequence[Observed], *, now: datetime) -> Counter[str]:
    """Files all of it, once for each call; how many items were left out, by reason.

    Waits while the app is filed by another transaction. Costs about thirty statements, however much it is.
    Errors: LacksPartitions (roll back, and try again by `partitioning.making_partitions`).
    """
    return sum(file_each(app, observed, now=now), Counter())


def file_each(app: App, observed: Sequence[Observed], *, now: datetime) -> list[Counter[str]]:
    """The same; what was left out of each."""
    dropped: list[Counter[str]] = [Counter() for _ in observed]
    with connection.cursor() as cursor:
        wait_for_turn(cursor, app.pk)
        resolver = Resolver(cursor, app.pk, now=now)
        placed = place(resolver, observed, dropped)
        instances.meet(cursor, placed, resolver, now=now)
        counted = [*_countable(placed), *cumulative.file_points(cursor, app.pk, placed, now=now)]
        _require_partitions(placed, counted)
        ids = _resolve(resolver, placed, counted)
        minutes = merging.merge((_cell_of(each, its, ids), each) for its, each in counted)
        quarters = merging.by_quarter(minutes)
        traffic.write(cursor, app.pk, minutes=minutes, quarters=quarters, totals=merging.of_all_consumers(quarters))
        _file_requests(cursor, app.pk, placed, ids)
        _file_words(cursor, app.pk, placed, ids)
        announce(ids.endpoint_of(*route) for route in _routes(placed, counted))
        consumers.update_called(cursor, _calls_of_consumers(placed, counted, ids))
        source_facts.file_facts(cursor, _facts(placed, quarters), now=now)
    return dropped


def _countable(placed: Sequence[Placed]) -> Iterator[tuple[Placed, Traffic]]:
    for its in placed:
        for each in its.traffic:
            if merging.is_countable(each):
                yield its, each
            else:
                its.dropped[TOO_MANY] += 1


def _resolve(resolver: Resolver, placed: Sequence[Placed], counted: Sequence[tuple[Placed, Traffic]]) -> Ids:
    """Everything that is named, and in which environments endpoints were seen."""
    names: dict[tuple[str, str], set[int]] = {}
    identifiers: set[str | None] = set()
    for its, call in _calls(placed, counted):
        names.setdefault((call.method, call.path), set()).add(its.environment_id)
        identifiers.add(call.consumer)
    told = [word for its in placed for word in its.said.consumers]
    identifiers.update(word.identifier for word in told)
    endpoints = resolver.endpoints(names)
    resolver.link((endpoints[name], environment) for name, seen_in in names.items() for environment in seen_in)
    groups = resolver.groups(word.group for word in told if word.group)
    return Ids(endpoints, resolver.consumers(each for each in identifiers if each), groups)


def _calls(placed: Sequence[Placed], counted: Sequence[tuple[Placed, Traffic]]) -> Iterator[tuple[Placed, Call]]:
    """Of all that names an endpoint."""
    for its, each in counted:
        yield its, each.call
    for its in placed:
        for request in its.said.requests:
            yield its, request.call
        for error in its.said.errors:
            yield its, Call(error.method, error.path, 0, error.consumer)
        for startup in its.said.startups:
            for endpoint in startup.endpoints:
                yield its, Call(endpoint.method, endpoint.path, 0)


def _cell_of(each: Traffic, its: Placed, ids: Ids) -> Cell:
    call = each.call
    return Cell(
        merging.minute_of(each.at),
        its.environment_id,
        ids.endpoint_of(call.method, call.path),
        call.status_code,
        ids.consumer_of(call.consumer),
        each.source.value,
    )


def _require_partitions(placed: Sequence[Placed], counted: Sequence[tuple[Placed, Traffic]]) -> None:
    said = [its.said for its in placed]
    require_partitions(
        minutes=[*(each.at for _, each in counted), *(told.at for each in said for told in each.resources)],
        requests=[
            *(request.at for each in said for request in each.requests),
            *(requests.start_of(span) for each in said for span in each.spans),
            *(line.at for each in said for line in each.log_lines),
        ],
    )


def _file_requests(cursor: CursorWrapper, app_id: int, placed: Sequence[Placed], ids: Ids) -> None:
    logged = ((its.environment_id, request) for its in placed for request in its.said.requests)
    requests.write_requests(cursor, app_id, logged, ids)
    requests.write_spans(cursor, app_id, (span for its in placed for span in its.said.spans))
    requests.write_lines(cursor, app_id, (line for its in placed for line in its.said.log_lines))


def _file_words(cursor: CursorWrapper, app_id: int, placed: Sequence[Placed], ids: Ids) -> None:
    """What reports say beside requests."""
    seen = (errors.Seen(error, its.environment_id, its.dropped) for its in placed for error in its.said.errors)
    errors.file_errors(cursor, app_id, seen, ids)
    resources.file_resources(cursor, app_id, placed)
    descriptions.update(cursor, (startup for its in placed for startup in its.said.startups), ids)
    consumers.update_told(cursor, ((word, its.dropped) for its in placed for word in its.said.consumers), ids)
    alive = ((its.environment_id, at) for its in placed for _, at in its.said.alive)
    source_facts.mark_synced(cursor, alive)


def _routes(placed: Sequence[Placed], counted: Sequence[tuple[Placed, Traffic]]) -> Iterator[tuple[str, str]]:
    """Methods and paths. Whatever path a report tells is a route: of requests that matched none reporters tell none."""
    for _, each in counted:
        if each.source is not Source.DECISION:
            yield each.call.method, each.call.path
    for its in placed:
        for request in its.said.requests:
            if request.source is RequestSource.REPORT:
                yield request.call.method, request.call.path
        for startup in its.said.startups:
            for endpoint in startup.endpoints:
                yield endpoint.method, endpoint.path


def _calls_of_consumers(
    placed: Sequence[Placed], counted: Sequence[tuple[Placed, Traffic]], ids: Ids
) -> Iterator[tuple[int, datetime]]:
    for _, each in counted:
        if each.requests:
            yield ids.consumer_of(each.call.consumer), each.at
    for its in placed:
        for request in its.said.requests:
            yield ids.consumer_of(request.call.consumer), request.at


def _facts(placed: Sequence[Placed], quarters: Sums) -> Iterator[Fact]:
    for cell, sums in quarters.items():
        yield Fact(cell.environment_id, Record.TRAFFIC, cell.source, cell.start, has_requests=sums.requests > 0)
    for its in placed:
        for source, at in its.said.alive:
            yield Fact(its.environment_id, Record.TRAFFIC, source.value, at, has_requests=False)
        for request in its.said.requests:
            yield _logged(its.environment_id, request)


def _logged(environment_id: int, request: Request) -> Fact:
    return Fact(environment_id, Record.REQUEST_LOG, request.source.value, request.at, has_requests=True)
