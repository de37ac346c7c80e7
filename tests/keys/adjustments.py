"""Wishes as staff have them, for tests of what becomes of them."""

from typing import Any
from uuid import UUID, uuid4

from accounts.models import User
from keys.adjusting import Adjusted, Wish, adjust
from keys.ledger.reading import redis_now
from keys.models import AdjustmentKind, ApiKey
from keys.standing import Standing, standing_of
from keys.validation.verdicts import Verdict
from tests.cast import BY, IssuedKey, Tenant
from tests.conftest import Decisions


def standing(of: ApiKey | User) -> Standing:
    of.refresh_from_db()
    return standing_of(of, now=redis_now())


def wish(of: ApiKey | User, kind: AdjustmentKind, units: int = 0, **other: Any) -> Wish:
    quota = standing(of).quota
    told: dict[str, Any] = {"subject": quota.subject, "window": quota.window, "reason": "asked by phone"} | other
    return Wish(kind=kind, units=units, request_id=told.pop("request_id", None) or uuid4(), **told)


def grant(of: ApiKey | User, units: int, *, request_id: UUID | None = None) -> Adjusted:
    return adjust(of, wish(of, AdjustmentKind.GRANT, units, request_id=request_id), by=BY, stream_max=1_000_000)


def reset(of: ApiKey | User, *, request_id: UUID | None = None) -> Adjusted:
    return adjust(of, wish(of, AdjustmentKind.RESET, request_id=request_id), by=BY, stream_max=1_000_000)


def take(of: ApiKey | User, units: int = 1_000_000, *, request_id: UUID | None = None) -> Adjusted:
    """At most so many of those that were granted."""
    return adjust(of, wish(of, AdjustmentKind.TAKE, units, request_id=request_id), by=BY, stream_max=1_000_000)


def spend(decisions: Decisions, tenant: Tenant, key: IssuedKey, calls: int) -> int:
    """How many of so many calls were allowed."""
    verdicts = [decisions.decide(tenant, key.secret).verdict for _ in range(calls)]
    return verdicts.count(Verdict.ALLOWED)
