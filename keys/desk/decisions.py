"""The last decisions of a key or a user in words, and its calls by the day: what their pages show of the ledger."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from django.http import HttpRequest
from django.utils import timezone
from redis.exceptions import RedisError

from accounts.desk.charts import Chart, Kind, Series
from accounts.models import Account
from accounts.roles import SEE_PERSONAL_DATA
from keys.daily import DAYS, DailyCalls
from keys.history import CallPage, Filters
from keys.models import Outcome

ROWS: Final = 20
VEIL: Final = "•••"
# What was answered, and why.
WORDS: Final = {
    Outcome.ALLOWED: ("allowed", "within the limit"),
    Outcome.OVER_QUOTA: ("denied", "over the quota: no room for this call"),
    Outcome.KEY_DISABLED: ("denied", "the key was inactive"),
    Outcome.KEY_EXPIRED: ("denied", "the key had expired"),
    Outcome.USER_DISABLED: ("denied", "its user was disabled"),
}


@dataclass(frozen=True, slots=True)
class ToldCall:
    """`endpoint` and `ip` are veiled for who may not see what tells of a person."""

    at: datetime
    answer: str
    reason: str
    cost: int
    method: str
    endpoint: str
    ip: str

    @property
    def is_allowed(self) -> bool:
        return self.answer == "allowed"


@dataclass(frozen=True, slots=True)
class ToldCalls:
    """`lag_s`: so old is the newest that is shown; None when all are. `is_known` False: Redis does not answer."""

    calls: list[ToldCall]
    lag_s: float | None = None
    is_known: bool = True


def last_calls(request: HttpRequest, read: Callable[..., CallPage], account: Account, of: int) -> ToldCalls:
    """Of as many days as the chart shows. `read` is keys.history.calls_of_key or calls_of_user."""
    lately = Filters(start=timezone.now() - timedelta(days=DAYS))
    try:
        page = read(account, of, lately, first=0, count=ROWS)
    except RedisError:
        return ToldCalls([], is_known=False)
    sees = request.user.has_perm(SEE_PERSONAL_DATA)
    return ToldCalls(
        [
            ToldCall(
                call.at,
                *WORDS[call.outcome],
                cost=call.cost,
                method=call.method,
                endpoint=call.endpoint if sees else VEIL,
                ip=(call.ip or "") if sees else VEIL if call.ip else "",
            )
            for call in page.calls
        ],
        page.lag_s,
    )


def calls_chart(read: Callable[..., DailyCalls], account: Account, *of: int) -> Chart | None:
    """`read` is one of keys.daily's, `of` whose calls of the account's it reads. None when Redis does not answer."""
    try:
        daily = read(account, *of, now=timezone.now(), zone=timezone.get_current_timezone())
    except RedisError:
        return None
    return Chart(
        title=f"By the day, the last {DAYS} days",
        labels=[f"{day:%d %b}" for day in daily.days],
        series=[Series("allowed", daily.allowed), Series("denied", daily.denied)],
        kind=Kind.BARS,
        unit="calls",
        true_until=daily.true_until,
    )
