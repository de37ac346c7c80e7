"""What staff look for among an app's requests: filters as conditions, the streams that lead there, and the rows.

A decision that was folded in has the ledger's own id and time: so it is known exactly why a request was refused, of
which key it was and whose. Whoever asks for an outcome, a key or a user asks for decisions, whatever else tells of the
environment; all others are shown what is in force, as the API shows it. Endpoints that staff left out are in neither.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final, NamedTuple

from django.db.models import Q

from accounts.models import Account
from analytics.exports.filters import Condition, all_hold
from analytics.exports.request_export import ROWS_MAX
from analytics.exports.writing import Page, Row
from analytics.models import App, Consumer, Environment, RequestSource
from analytics.request_details import NOT_CAPTURED, Captured, captured_of
from analytics.request_logs import (
    EXAMINED_MAX,
    FIRST_UUID,
    STREAMS_MAX,
    LoggedRequest,
    Position,
    Streams,
    Walk,
    in_force_within,
    just_before,
    narrowest,
)
from analytics.rollup.translating import STATUSES
from analytics.selection import select_requests
from keys.decided import Decided, decided
from keys.models import ApiKey, Outcome, UsageHour

ALLOWED, DENIED = "allowed", "denied"
# What may be asked of an outcome, and which ones it means.
OUTCOMES: Final[Mapping[str, frozenset[Outcome]]] = {
    ALLOWED: frozenset({Outcome.ALLOWED}),
    DENIED: frozenset(Outcome) - {Outcome.ALLOWED},
} | {outcome.name.lower(): frozenset({outcome}) for outcome in Outcome if outcome is not Outcome.ALLOWED}
# Of a row of analytics_requestlog what its decision says. As a value, and not EXISTS: that might be answered by reading
# the whole ledger once.
OF_ITS_DECISION = """(SELECT d.{column} FROM keys_decision AS d
  WHERE d.account_id = %s AND d.at = analytics_requestlog.at AND d.id = analytics_requestlog.uuid) = %s"""
# Of one request headers and bodies may be a hundred kilobytes.
EXPORT_PAGE, EXPORT_PAGE_OF_DETAILS = 1_000, 100
EXPORTED = (
    "timestamp", "request_uuid", "env", "method", "path", "url", "status_code", "outcome", "api_key", "api_key_name",
    "user_id", "consumer_id", "consumer", "response_time_ms", "request_size_bytes", "response_size_bytes", "client_ip",
    "client_country_iso_code",
)  # fmt: skip
# As the API's export names them, in the order of Captured.
EXPORTED_DETAILS = ("request_headers", "response_headers", "request_body_json", "response_body_json")


class TooManyConsumers(ValueError):
    """More consumers have this name than can be looked for side by side."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sought:
    """None, and what is empty, is whichever. `client` is an IP address or a network of them."""

    environment_id: int | None = None
    consumer: str = ""
    api_key: ApiKey | None = None
    user_id: int | None = None
    methods: tuple[str, ...] = ()
    path: str | None = None
    statuses: tuple[str, ...] = ()
    outcome: str = ""
    at_least_ms: int | None = None
    at_most_ms: int | None = None
    client: str = ""

    @property
    def is_of_decisions(self) -> bool:
        return bool(self.outcome or self.api_key or self.user_id)


class Explored(NamedTuple):
    """`decision` is None where a report told of it, or the ledger keeps it no more."""

    request: LoggedRequest
    decision: Decided | None


@dataclass(frozen=True, slots=True)
class ExploredPage:
    """`end` is None where nothing follows; else the next page begins beyond it, be this one empty."""

    rows: list[Explored]
    end: Position | None


def walk_of(app: App, sought: Sought, *, start: datetime, end: datetime) -> Walk | None:
    """None where no request can match. Six SELECTs at most. Errors: TooManyConsumers."""
    outcomes = OUTCOMES.get(sought.outcome)
    told = sorted({STATUSES[each] for each in outcomes}) if outcomes else []
    selection = select_requests(
        app,
        start=start,
        end=end,
        environment_id=sought.environment_id,
        methods=sought.methods,
        path=sought.path,
        statuses=sought.statuses or map(str, told),
    )
    consumers = _consumers(app, sought, start, end)
    if selection.is_empty or consumers == []:
        return None
    conditions = [
        _sources(selection.environments, sought, start, end),
        Condition(*selection.predicate()),
        *_conditions(sought, told, consumers),
        *_of_decision(app, sought),
    ]
    streams = narrowest(selection) if consumers is None else Streams("consumer_id", consumers)
    return Walk(app.pk, all_hold(conditions), streams)


def page_of(
    walk: Walk, app: App, *, start: datetime, end: datetime, before: Position | None = None, limit: int
) -> ExploredPage:
    """Of [start, end) the newest `limit` requests before a place, of a bounded number. Four SELECTs at most."""
    places = just_before(start), before or Position(end, FIRST_UUID)
    page = walk.page(*places, limit=limit, newest_first=True, examined_max=EXAMINED_MAX)
    return ExploredPage(with_decisions(app.account, page.requests), page.end)


def export_of(
    walk: Walk | None,
    app: App,
    *,
    start: datetime,
    end: datetime,
    limit: int = ROWS_MAX,
    with_details: bool = False,
) -> Iterator[Page]:
    """The rows of [start, end) in order of time, page by page: between two of them nothing is held.

    With details a row holds what was captured of headers and bodies as well.
    """
    after: Position | None = just_before(start)
    while walk is not None and after is not None and limit > 0:
        held = min(limit, EXPORT_PAGE_OF_DETAILS if with_details else EXPORT_PAGE)
        page = walk.page(after, Position(end, FIRST_UUID), limit=held, examined_max=EXAMINED_MAX)
        limit -= len(page.requests)
        after = page.end
        rows = [_row(each) for each in with_decisions(app.account, page.requests)]
        if with_details:
            captured = captured_of(app, page.requests)
            details = (_details(captured.get(request.uuid, NOT_CAPTURED)) for request in page.requests)
            rows = [row | more for row, more in zip(rows, details, strict=True)]
        yield Page(rows, end if after is None else after.at)


def with_decisions(account: Account, requests: list[LoggedRequest]) -> list[Explored]:
    """Three SELECTs at most."""
    known = decided(account, [(each.at, each.uuid) for each in requests])
    return [Explored(each, known.get(each.uuid)) for each in requests]


def _sources(environments: list[Environment], sought: Sought, start: datetime, end: datetime) -> Condition:
    if not sought.is_of_decisions:
        return in_force_within(environments, start=start, end=end)
    ids = [environment.pk for environment in environments]
    return Condition("(environment_id = ANY(%s) AND source = %s)", [ids, RequestSource.DECISION.value])


def _conditions(sought: Sought, told: list[int], consumers: list[int] | None) -> list[Condition]:
    named: list[tuple[str, object]] = [
        ("status_code = ANY(%s)", told or None),
        ("(consumer_id = ANY(%s)) IS TRUE", consumers),
        ("response_time_ms >= %s", sought.at_least_ms),
        ("response_time_ms <= %s", sought.at_most_ms),
        ("(client_ip <<= %s::inet) IS TRUE", sought.client or None),
    ]
    return [Condition(sql, [argument]) for sql, argument in named if argument is not None]


def _of_decision(app: App, sought: Sought) -> list[Condition]:
    """What the ledger alone can say; the last to be asked of a row."""
    asked: list[tuple[str, int]] = []
    if sought.api_key is not None:
        asked.append(("api_key_id", sought.api_key.pk))
    outcomes = OUTCOMES.get(sought.outcome, frozenset())
    if len(outcomes) == 1:
        (outcome,) = outcomes
        if list(STATUSES.values()).count(STATUSES[outcome]) > 1:  # its status says it of others, too
            asked.append(("outcome", outcome.value))
    return [
        Condition(f"({OF_ITS_DECISION.format(column=column)}) IS TRUE", [app.account_id, value])
        for column, value in asked
    ]


def _consumers(app: App, sought: Sought, start: datetime, end: datetime) -> list[int] | None:
    """Whose requests are looked for; None for anybody's. Two SELECTs at most."""
    rows = everybody = Consumer.objects.filter(app=app)
    if sought.consumer:
        rows = rows.filter(Q(identifier=sought.consumer) | Q(name__iexact=sought.consumer))
    if sought.user_id is not None:
        rows = rows.filter(identifier=str(sought.user_id))
    if sought.api_key is not None:
        rows = rows.filter(identifier__in=_identifiers(sought.api_key, start, end))
    if rows is everybody:
        return None
    found = list(rows.values_list("pk", flat=True)[: STREAMS_MAX + 1])
    if len(found) > STREAMS_MAX:
        raise TooManyConsumers(f"More than {STREAMS_MAX} consumers have this name: give an identifier.")
    return found


def _identifiers(api_key: ApiKey, start: datetime, end: datetime) -> set[str]:
    """By which a key's calls of this time are known as a consumer's: its users' ids, and its own where it had none."""
    first_hour = start.replace(minute=0, second=0, microsecond=0)
    hours = UsageHour.objects.filter(account_id=api_key.account_id, key_id=api_key.pk)
    within = hours.filter(hour__gte=first_hour, hour__lt=end).values_list("user_id", flat=True)
    return {str(user_id) if user_id else api_key.public_id for user_id in within.distinct()}


def _row(explored: Explored) -> Row:
    request, decision = explored
    api_key = decision.api_key if decision else None
    told: list[object] = [
        request.at.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        str(request.uuid),
        request.environment,
        request.method,
        request.path,
        request.url,
        request.status_code,
        decision.reason if decision else None,
        api_key.public_id if api_key else None,
        api_key.name if api_key else None,
        decision.user.pk if decision and decision.user else None,
        request.consumer_id,
        request.consumer,
        request.response_time_ms,
        request.request_size_bytes,
        request.response_size_bytes,
        request.client_ip,
        request.country,
    ]
    return dict(zip(EXPORTED, told, strict=True))


def _details(captured: Captured) -> Row:
    return dict(zip(EXPORTED_DETAILS, captured, strict=True))
