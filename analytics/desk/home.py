"""The desk's first page: what goes on now, whether all is well, and the ways to the everyday tasks (UNFOLD's callback).

Sums alone are asked, never decisions or request logs; each part is there for those alone who may see its tables.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple

from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone

from accounts.desk.charts import NO_VALUE, Chart, Kind, Series, shown
from accounts.models import Account
from analytics import overview
from analytics.desk.account_choice import AccountForm
from analytics.desk.period import Period, period_of
from analytics.desk.steps import first_steps
from analytics.desk.until import Drained, drained_of, told_of
from analytics.models import Environment
from analytics.overview import Added, Traffic
from analytics.periods import MINUTE, TimePeriod, whole
from keys.api import health
from keys.desk.near_limits import near_rows
from keys.ledger.calls import MINUTES_KEPT, NONE, Calls, Grain
from keys.overview import active_users, calls_in, expiring, near_limits, was_ever_called

# So long a period is shown by the minute, as long as minutes are kept.
BY_MINUTE_MAX: Final = timedelta(hours=3)
PERCENTILES: Final = (50, 95, 99)
TOO_MUCH: Final = "More traffic than can be added up while you wait: choose one account, or a shorter period."


class Figure(NamedTuple):
    title: str
    value: str
    note: str = ""


class Way(NamedTuple):
    """To an everyday task; `permission` is what its page asks for."""

    title: str
    icon: str
    page: str
    permission: str


class Part(NamedTuple):
    """Of this installation, and how it is."""

    title: str
    is_well: bool
    told: str


@dataclass(frozen=True, slots=True)
class Asked:
    account: Account | None
    period: Period
    drained: Drained
    now: datetime

    @property
    def account_id(self) -> int | None:
        return self.account.pk if self.account else None


WAYS: Final = (
    Way("Why was this refused?", "help", "desk:why", "keys.view_decision"),
    Way("Issue a key", "key", "admin:keys_apikey_add", "keys.add_apikey"),
    Way("Who changed what?", "history", "admin:accounts_auditentry_changelist", "accounts.view_auditentry"),
)
PARTS: Final = {
    "database": "Database",
    "migrations": "Migrations",
    "redis": "Redis",
    "worker": "Worker",
    "ledger": "Ledger",
    "ingest": "Reports",
    "fold": "Fold",
}


def home(request: HttpRequest, context: dict[str, Any]) -> dict[str, Any]:
    """What templates/admin/index.html is given."""
    now = timezone.now()
    look, form = health.Look(now), AccountForm(request.GET or None)
    account = form.cleaned_data["account"] if form.is_valid() else None
    asked = Asked(account, period_of(request, now=now), drained_of(look), now)
    page: dict[str, Any] = {"title": "Home", "figures": [], "charts": [], "ways": _ways(request)}
    page |= {"account_form": form, "account": account, "period": asked.period}
    page["redis_is_away"] = asked.drained.lag_s is None
    if request.user.has_perm("keys.view_usagehour"):
        _add_calls(page, asked)
        page["near_rows"] = near_rows(request, page["near"].first)
        page["steps"] = first_steps(request) if not sum(page["calls"]) and not was_ever_called() else []
    if request.user.has_perm("analytics.view_environment"):
        page["told"] = told_of(look, asked.drained)
        _add_traffic(page, asked)
    if request.user.has_perm("keys.view_apikey"):
        page["expiring"] = expiring(now, account_id=asked.account_id)
    if page.get("steps"):  # nothing was decided yet: what to do comes first
        page["charts"] = [chart for chart in page["charts"] if not chart.is_empty]
    parts = _parts(look, page.get("told"), asked.drained)
    return context | page | {"parts": parts, "wrong": [part for part in parts if not part.is_well]}


def _ways(request: HttpRequest) -> list[tuple[Way, str]]:
    return [(way, reverse(way.page)) for way in WAYS if request.user.has_perm(way.permission)]


def _add_calls(page: dict[str, Any], asked: Asked) -> None:
    period, account_id = asked.period, asked.account_id
    tiles = call_tiles(period, asked.now)
    grain = Grain.MINUTE if tiles[0].end - tiles[0].start == MINUTE else Grain.QUARTER
    calls = calls_in([tile.start for tile in tiles], tiles[-1].end, account_id=account_id, grain=grain)
    whole_of = sum(calls, NONE)
    page |= {"near": near_limits(account_id=account_id), "calls": whole_of}
    page["figures"] += [
        Figure("Decisions", shown(sum(whole_of)), f"since {_clock(tiles[0].start, period)}"),
        Figure("Allowed", shown(whole_of.allowed), _share(whole_of.allowed, sum(whole_of))),
        Figure("Denied", shown(whole_of.denied), _share(whole_of.denied, sum(whole_of))),
        Figure("Active users", str(active_users(period.start, period.end, account_id=account_id)), "by clock hours"),
    ]
    page["charts"].append(_calls_chart(period, tiles, calls, asked.drained.until))


def call_tiles(period: Period, now: datetime) -> list[TimePeriod]:
    """Minutes of a short period for which they are kept; else the period's own."""
    if period.end - period.start > BY_MINUTE_MAX or period.start < now - MINUTES_KEPT:
        return period.tiles()
    start, end = whole(period.start, period.end, grain=MINUTE)
    return [TimePeriod(start + n * MINUTE, start + (n + 1) * MINUTE) for n in range((end - start) // MINUTE)]


def _calls_chart(period: Period, tiles: Sequence[TimePeriod], calls: Sequence[Calls], until: datetime) -> Chart:
    return Chart(
        f"Decisions {_each(tiles)}",
        [period.label(tile) for tile in tiles],
        [Series("Allowed", [each.allowed for each in calls]), Series("Denied", [each.denied for each in calls])],
        kind=Kind.BARS,
        true_until=min(until, period.end),
    )


def _add_traffic(page: dict[str, Any], asked: Asked) -> None:
    period, environments = asked.period, overview.environments_of(asked.account_id)
    tiles = period.tiles()
    try:
        added = overview.traffic_in(environments, [tile.start for tile in tiles], tiles[-1].end)
    except overview.TooMuchError:
        page["too_much"] = TOO_MUCH
    else:
        page["figures"] += _traffic_figures(added, f"since {_clock(tiles[0].start, period)}")
        page["charts"] += _traffic_charts(period, tiles, added, min(page["told"].until, period.end))
    page["figures"].append(_consumers_figure(environments, asked))


def _consumers_figure(environments: Iterable[Environment], asked: Asked) -> Figure:
    """What is known of a consumer is when it called last: that tells of a period that ends now."""
    if asked.period.end < asked.now - MINUTE:
        return Figure("Active consumers", NO_VALUE, "known of periods that end now")
    since = f"since {_clock(asked.period.start, asked.period)}"
    return Figure("Active consumers", str(overview.active_consumers(environments, asked.period.start)), since)


def _traffic_figures(added: Added, since: str) -> list[Figure]:
    traffic = overview.total(added.tiles)
    measured = f"of {shown(traffic.durations.count)} measured{_sample(added)}"
    return [
        Figure("Requests", shown(traffic.requests), since),
        Figure("Error rate", _share(traffic.errors, traffic.requests), f"{shown(traffic.errors)} errors"),
        *(Figure(f"p{percent}", _ms(traffic.percentile_ms(percent)), measured) for percent in PERCENTILES),
    ]


def _traffic_charts(period: Period, tiles: Sequence[TimePeriod], added: Added, until: datetime) -> list[Chart]:
    labels, traffic = [period.label(tile) for tile in tiles], added.tiles
    kinds: tuple[tuple[str, Callable[[Traffic], int]], ...] = (
        ("Without error", lambda each: each.requests - each.errors),
        ("Client errors", lambda each: each.client_errors),
        ("Server errors", lambda each: each.server_errors),
    )
    requests = [Series(name, [count(each) for each in traffic]) for name, count in kinds]
    times = [Series(f"p{percent}", [each.percentile_ms(percent) for each in traffic]) for percent in PERCENTILES]
    title = f"Response times {_each(tiles)}{_sample(added)}"
    return [
        Chart(f"Requests {_each(tiles)}", labels, requests, kind=Kind.BARS, true_until=until),
        Chart(title, labels, times, unit="ms", true_until=until, is_sample=added.every > 1),
    ]


def _sample(added: Added) -> str:
    return "" if added.every == 1 else f", one quarter hour in {added.every}"


def _parts(look: health.Look, told: overview.Told | None, drained: Drained) -> list[Part]:
    """What /readyz tells, and how far behind each step of the way is."""
    states = health.states_of(look)
    parts = [Part(PARTS[name], state.says == health.OK, state.says) for name, state in states.items()]
    if drained.lag_s is not None:
        parts.append(Part("Decisions to the ledger", True, _behind(drained.lag_s)))
    if told is not None:
        parts.append(Part("Ledger to traffic", True, _behind(told.fold_lag_s)))
        parts.append(Part("Reports to traffic", True, _behind(told.inbox_lag_s)))
    return parts


def _each(tiles: Sequence[TimePeriod]) -> str:
    lengths = {
        timedelta(minutes=1): "by minute",
        timedelta(minutes=15): "by quarter hour",
        timedelta(hours=1): "by hour",
    }
    middle = tiles[len(tiles) // 2]
    return lengths.get(middle.end - middle.start, "by day")


def _behind(seconds: float) -> str:
    return "nothing waits" if seconds == 0 else f"{seconds:,.1f} s behind"


def _share(part: int, of: int) -> str:
    return f"{100 * part / of:.2f} %" if of else NO_VALUE


def _ms(value: float | None) -> str:
    if value is None:
        return NO_VALUE
    return f"{value:,.0f} ms" if value >= 10 else f"{value:.1f} ms"


def _clock(moment: datetime, period: Period) -> str:
    return f"{moment.astimezone(period.zone):%a %d %b %H:%M}"
