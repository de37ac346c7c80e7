"""A trace in words: the questions that validate asks of a call, in its order, and how each was answered. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Final

from accounts.desk.charts import shown
from accounts.models import AccessKey
from keys.events import from_ms
from keys.models import ApiKey, ApiKeySecret
from keys.tracing import Trace
from keys.validation.verdicts import Verdict

NOT_YET_IN_FORCE = "Not yet in force: Redis still keeps what was before the change."


class State(StrEnum):
    PASSED = "passed"
    FAILED = "failed"
    NOT_REACHED = "not reached"
    NOT_ASKED = "not asked"


@dataclass(slots=True)
class Step:
    """One question; `facts` are what it was answered by, `saved` what PostgreSQL says where Redis keeps another."""

    question: str
    verdicts: frozenset[Verdict | None]
    facts: list[tuple[str, str | datetime]] = field(default_factory=list)
    saved: str = ""
    state: State = State.NOT_REACHED


@dataclass(frozen=True, slots=True)
class Subject:
    """What is asked about. A secret that nobody knows has no key; `user_text` is already veiled where it must be."""

    secret: ApiKeySecret | None = None
    api_key: ApiKey | None = None
    user_text: str = ""
    access_key: AccessKey | None = None
    account_text: str = ""


NO_ACCESS_KEY: Final = "depends on the access key by which the call is made: choose one above"


def steps_of(trace: Trace, subject: Subject, *, cost: int) -> list[Step]:
    steps = [
        *_of_the_access_key(trace, subject),
        *_of_the_secret(trace, subject),
        *_of_the_key(trace),
        _of_the_user(trace, subject),
        _of_the_plan(trace),
        _of_the_quota(trace, cost),
    ]
    _mark(steps, trace.decision.verdict if trace.decision else None)
    if subject.access_key is None:
        for step in steps[:3]:
            step.state = State.NOT_ASKED
    return steps


def _mark(steps: list[Step], verdict: Verdict | None) -> None:
    """All before the one that ended it were passed, all after it were not reached."""
    for step in steps:
        if verdict in step.verdicts:
            step.state = State.FAILED
            return
        step.state = State.PASSED


def _of_the_access_key(trace: Trace, subject: Subject) -> Iterator[Step]:
    live = Step("Is the access key known, and neither revoked nor expired?", frozenset({Verdict.UNAUTHORIZED}))
    minute = Step("Has its minute room for this call?", frozenset({Verdict.BUSY}))
    scope = Step("Does it allow validating?", frozenset({Verdict.FORBIDDEN}))
    access_key = subject.access_key
    if access_key is None:
        live.facts.append(("Access key", NO_ACCESS_KEY))
    else:
        live.facts += [("Access key", str(access_key)), ("Expires", trace.facts.access_expires_at or "never")]
        if access_key.revoked_at:
            live.facts.append(("Revoked", access_key.revoked_at))
        budget = trace.facts.requests_per_minute
        minute.facts.append(("Budget of a minute", "without limit" if budget is None else shown(budget)))
        if trace.minute_used is not None:
            minute.facts.append(("Used in this minute", shown(trace.minute_used)))
        scope.facts.append(("Its scopes", ", ".join(access_key.scopes) or "all"))
    yield from (live, minute, scope)


def _of_the_secret(trace: Trace, subject: Subject) -> Iterator[Step]:
    secret, api_key, facts = subject.secret, subject.api_key, trace.facts.key
    is_elsewhere = bool(secret and subject.access_key and secret.account_id != subject.access_key.account_id)
    is_gone = api_key is None or api_key.deleted_at is not None
    not_found, never = frozenset({Verdict.NOT_FOUND}), frozenset[Verdict | None]()
    known = Step("Is the API key known?", never if facts or (is_elsewhere and not is_gone) else not_found)
    if secret is None or api_key is None:
        known.facts.append(("Secret", "no key has it: mistyped, or replaced by a new one"))
    else:
        known.facts += [("API key", f"{api_key.name} ({api_key.public_id})"), ("Secret", secret.masked)]
        if api_key.deleted_at:
            known.facts.append(("Revoked", api_key.deleted_at))
    if not facts and trace.saved.key:
        known.saved = f"The key is known. {NOT_YET_IN_FORCE}"
    account = Step("Is it of the access key's account?", not_found if is_elsewhere and not facts else never)
    if secret:
        account.facts.append(("Its account", subject.account_text))
    if is_elsewhere and subject.access_key:
        account.facts.append(("The access key's account", str(subject.access_key.account)))
    overlap = Step("Is this secret still in force?", not_found if facts else never)
    if facts:
        overlap.facts.append(("In force until", facts.secret_expires_at or "it is replaced"))
        if trace.saved.key and trace.saved.key.secret_expires_at != facts.secret_expires_at:
            overlap.saved = f"In force until {_until(trace.saved.key.secret_expires_at)}. {NOT_YET_IN_FORCE}"
    yield from (known, account, overlap)
    if trace.decision is None:
        yield Step("Has the record of decisions room? It is full: no worker drains it.", frozenset({None}))


def _of_the_key(trace: Trace) -> Iterator[Step]:
    facts, saved = trace.facts.key, trace.saved.key
    active = Step("Is the key active?", frozenset({Verdict.KEY_DISABLED}))
    expiry = Step("Has it not expired?", frozenset({Verdict.KEY_EXPIRED}))
    if facts:
        active.facts.append(("Status", _status(is_active=facts.is_active)))
        expiry.facts.append(("Expires", facts.expires_at or "never"))
        if saved is None:
            active.saved = f"The key is gone. {NOT_YET_IN_FORCE}"
        elif saved.is_active != facts.is_active:
            active.saved = f"The key is {_status(is_active=saved.is_active)}. {NOT_YET_IN_FORCE}"
        if saved and saved.expires_at != facts.expires_at:
            expiry.saved = f"It expires: {_until(saved.expires_at)}. {NOT_YET_IN_FORCE}"
    yield from (active, expiry)


def _of_the_user(trace: Trace, subject: Subject) -> Step:
    facts, saved = trace.facts.user, trace.saved.user
    step = Step("Is its user enabled?", frozenset({Verdict.USER_DISABLED}))
    if trace.facts.key and trace.facts.key.user_id is None:
        step.facts.append(("User", "the key has none"))
    elif facts:
        step.facts += [("User", subject.user_text), ("Status", "disabled" if facts.is_disabled else "enabled")]
    if facts and saved and saved.is_disabled != facts.is_disabled:
        step.saved = f"The user is {'disabled' if saved.is_disabled else 'enabled'}. {NOT_YET_IN_FORCE}"
    elif trace.facts.key and trace.saved.key and trace.facts.key.user_id != trace.saved.key.user_id:
        step.saved = f"The key has another user. {NOT_YET_IN_FORCE}"
    return step


def _of_the_plan(trace: Trace) -> Step:
    """It cannot fail: what has no plan is counted and not limited."""
    facts, saved = trace.facts.plan, trace.saved.plan
    step = Step("Which plan and which window count?", frozenset())
    quota = trace.decision.quota if trace.decision else None
    if quota is None:
        return step
    if facts:
        whose = "its own" if trace.facts.key and trace.facts.key.plan_id else "its user's"
        step.facts.append(("Plan", f"{facts.name} ({whose}): {_limit(facts.limit)} a {facts.period}"))
    else:
        step.facts.append(("Plan", "none: counted in the calendar month, not limited"))
    if facts and facts.period and trace.facts.user and trace.facts.user.custom_start and not _is_of_key(trace):
        step.facts.append(("Windows count from", trace.facts.user.custom_start))
    step.facts += [("Window from", from_ms(quota.start_ms)), ("until", from_ms(quota.end_ms))]
    if facts != saved:
        named = f"{saved.name}: {_limit(saved.limit)} a {saved.period}" if saved else "none"
        step.saved = f"The plan is {named}. {NOT_YET_IN_FORCE}"
    return step


def _of_the_quota(trace: Trace, cost: int) -> Step:
    step = Step("Is what is used, with this call, within the limit?", frozenset({Verdict.OVER_QUOTA}))
    decision = trace.decision
    if decision is None or decision.quota is None:
        return step
    used = decision.quota.net - (cost if decision.verdict is Verdict.ALLOWED else 0)
    limit = _limit(decision.quota.limit)
    compared = f"{shown(used)} + {shown(cost)} = {shown(used + cost)} of {limit}"
    step.facts.append(("Used + cost", compared))
    counter = "none: taken from the ledger" if trace.counter_used is None else shown(trace.counter_used)
    step.facts += [("Redis's counter", counter), ("In the ledger so far", shown(trace.ledger_used))]
    return step


def _is_of_key(trace: Trace) -> bool:
    return bool(trace.facts.key and trace.facts.key.plan_id)


def _status(*, is_active: bool) -> str:
    return "active" if is_active else "inactive"


def _limit(limit: int) -> str:
    return "no limit" if limit < 0 else shown(limit)


def _until(moment: datetime | None) -> str:
    return "never" if moment is None else f"{moment:%Y-%m-%d %H:%M} UTC"
