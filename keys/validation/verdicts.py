"""What decide.lua can answer, as values: a denial is a value, never an exception."""

from enum import StrEnum
from typing import Any, Final

import msgspec


class Verdict(StrEnum):
    """How a call of a live, or not so live, access key ended."""

    ALLOWED = "ALLOWED"
    OVER_QUOTA = "OVER_QUOTA"
    KEY_DISABLED = "KEY_DISABLED"
    KEY_EXPIRED = "KEY_EXPIRED"
    USER_DISABLED = "USER_DISABLED"
    NOT_FOUND = "NOT_FOUND"
    ADMITTED = "ADMITTED"
    FORBIDDEN = "FORBIDDEN"
    BUSY = "BUSY"
    UNAUTHORIZED = "UNAUTHORIZED"


class Budget(msgspec.Struct, frozen=True, gc=False):
    """The minute budget of an access key after this call; an unlimited one has -1 for both."""

    limit: int
    remaining: int
    now_ms: int

    @property
    def reset_s(self) -> int:
        """When the clock minute ends, in Unix seconds."""
        return (self.now_ms // 60_000 + 1) * 60

    @property
    def seconds_left(self) -> int:
        return max(1, self.reset_s - self.now_ms // 1000)


class Quota(msgspec.Struct, frozen=True, gc=False):
    """The window that decided, after this call. `limit` -1 = unlimited; `plan_name` None = no plan.

    `net` is what was spent less what staff granted or reset: below zero where more was granted than spent.
    """

    net: int
    limit: int
    plan_name: str | None
    start_ms: int
    end_ms: int

    @property
    def used(self) -> int:
        return max(0, self.net)

    @property
    def remaining(self) -> int:
        return max(0, self.limit - self.net) if self.limit >= 0 else -1


class Decision(msgspec.Struct, frozen=True, gc=False):
    """What one script call decided. Nothing but the verdict is known of a caller that is not authorized."""

    verdict: Verdict
    budget: Budget | None = None
    access_key_id: int = 0
    account_id: int = 0
    quota: Quota | None = None


_VERDICTS: Final = {verdict.value.encode(): verdict for verdict in Verdict}


def read_reply(reply: list[Any]) -> Decision:
    """Of the script's answer, its first words CLOSED, MISS and FULL excepted."""
    verdict = _VERDICTS[reply[0]]
    if verdict is Verdict.UNAUTHORIZED:
        return Decision(verdict)
    _, now, limit, left, access_key_id, account_id, *rest = reply
    budget = Budget(limit, left, now)
    if not rest:
        return Decision(verdict, budget, access_key_id, account_id)
    net, quota_limit, plan_name, start, end = rest
    name = None if plan_name is None else plan_name.decode()
    return Decision(verdict, budget, access_key_id, account_id, Quota(net, quota_limit, name, start, end))
