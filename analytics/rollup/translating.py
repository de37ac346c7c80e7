"""How a decision of the ledger is told as an observed request (pure; contract, ruling 12).

One decision is one request, whatever it cost; it has no size and no duration.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Final, NamedTuple

from analytics.masking import mask_url
from analytics.models import IDENTIFIER_LENGTH, LABEL_LENGTH, PATH_LENGTH, RequestSource, Source
from analytics.observations import Call, ConsumerTold, Observed, Request, Traffic
from analytics.templates import Templates
from keys.models import Decision, Outcome

STATUSES: Final = {
    Outcome.ALLOWED: 200,
    Outcome.OVER_QUOTA: 429,
    Outcome.KEY_DISABLED: 403,
    Outcome.KEY_EXPIRED: 403,
    Outcome.USER_DISABLED: 403,
}


class Caller(NamedTuple):
    """Whose call it was, as consumers are known: by the user's id or, without a user, the key's public id."""

    identifier: str
    name: str


class Callers(NamedTuple):
    """Those of a batch, by the ids that the ledger knows."""

    users: Mapping[int, Caller]
    api_keys: Mapping[int, Caller]

    def of(self, decision: Decision) -> Caller | None:
        if decision.user_id is not None:
            return self.users.get(decision.user_id) or Caller(str(decision.user_id), "")
        return self.api_keys.get(decision.api_key_id)


def observed_of(decisions: Iterable[Decision], *, environment: str, templates: Templates, callers: Callers) -> Observed:
    """Of one app and environment, in the order of the stream. It names no instance: nothing of the app reported it."""
    requests, counts, told = [], Counter[tuple[datetime, Call]](), {}
    for decision in decisions:
        caller = callers.of(decision)
        call = Call(
            method=decision.method.upper(),
            path=_path(decision.endpoint, templates),
            status_code=STATUSES[Outcome(decision.outcome)],
            consumer=caller.identifier[:IDENTIFIER_LENGTH] if caller else None,
        )
        requests.append(_request(decision, call))
        counts[decision.at.replace(second=0, microsecond=0), call] += 1
        if caller:
            told[caller.identifier] = _consumer(caller, decision)
    traffic = [
        Traffic(at=minute, call=call, source=Source.DECISION, requests=number)
        for (minute, call), number in counts.items()
    ]
    return Observed(
        environment=environment, instance="", traffic=traffic, requests=requests, consumers=list(told.values())
    )


def _path(endpoint: str, templates: Templates) -> str:
    """Never empty: that is a request without a route, and is no traffic."""
    return templates.of(endpoint)[:PATH_LENGTH] or "/"


def _request(decision: Decision, call: Call) -> Request:
    return Request(
        uuid=decision.id,
        at=decision.at,
        call=call,
        url=mask_url(decision.endpoint),
        request_size_bytes=0,
        response_size_bytes=0,
        response_time_ms=0,
        client_ip=decision.ip,
        source=RequestSource.DECISION,
    )


def _consumer(caller: Caller, decision: Decision) -> ConsumerTold:
    name = caller.name[:LABEL_LENGTH] or None
    return ConsumerTold(identifier=caller.identifier[:IDENTIFIER_LENGTH], at=decision.at, name=name)
