"""A decision is told as a request, as the contract's ruling 12 says."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from accounts.secrets import Bucket
from analytics.models import RequestSource, Source
from analytics.observations import Call, ConsumerTold, Request, Traffic
from analytics.rollup.translating import Caller, Callers, observed_of
from analytics.templates import Templates
from keys.events import StreamId, decision_id, from_ms
from keys.models import Decision, Outcome

MINUTE = datetime(2026, 6, 1, 12, 30, tzinfo=UTC)
PLACE = StreamId(1_780_317_000_123, 0)
CALLERS = Callers({5: Caller("5", "Uma")}, {7: Caller("key_abc", "Batch")})


def decision(number: int = 0, **other: Any) -> Decision:
    place = StreamId(PLACE.ms + number, 0)
    given = {
        "id": decision_id(Bucket(3), place), "at": from_ms(place.ms), "account_id": 1, "access_key_id": 2,
        "api_key_id": 7, "user_id": 5, "outcome": Outcome.ALLOWED.value, "cost": 1, "method": "GET",
        "endpoint": "/orders/17", "ip": "203.0.113.9",
    }  # fmt: skip
    return Decision(**given | other)


def observe(*decisions: Decision) -> Any:
    return observed_of(decisions, environment="prod", templates=Templates(["/users/{name}"]), callers=CALLERS)


def test_a_decision_is_one_request_whatever_it_cost() -> None:
    told = observe(decision(cost=25))
    call = Call("GET", "/orders/{id}", 200, "5")
    assert told.requests == [
        Request(
            uuid=decision_id(Bucket(3), PLACE), at=from_ms(PLACE.ms), call=call, url="/orders/17",
            request_size_bytes=0, response_size_bytes=0, response_time_ms=0, client_ip="203.0.113.9", detail=None,
            source=RequestSource.DECISION,
        )
    ]  # fmt: skip
    assert told.traffic == [Traffic(at=MINUTE, call=call, source=Source.DECISION, requests=1)]
    assert told.consumers == [ConsumerTold("5", from_ms(PLACE.ms), "Uma")]
    assert (told.environment, told.instance, told.alive) == ("prod", "", [])


@pytest.mark.parametrize(
    ("outcome", "status"),
    [
        (Outcome.ALLOWED, 200),
        (Outcome.OVER_QUOTA, 429),
        (Outcome.KEY_DISABLED, 403),
        (Outcome.KEY_EXPIRED, 403),
        (Outcome.USER_DISABLED, 403),
    ],
)
def test_an_outcome_has_a_status(outcome: Outcome, status: int) -> None:
    (request,) = observe(decision(outcome=outcome.value)).requests
    assert request.call.status_code == status


def test_every_outcome_has_one() -> None:
    assert {observe(decision(outcome=outcome.value)).requests[0].call.status_code for outcome in Outcome} == {
        200,
        429,
        403,
    }


@pytest.mark.parametrize(
    ("who", "identifier", "name"),
    [
        ({"user_id": 5}, "5", "Uma"),
        ({"user_id": None, "api_key_id": 7}, "key_abc", "Batch"),
        ({"user_id": 99}, "99", None),  # its row was deleted by hand
    ],
)
def test_a_consumer_is_the_user_or_the_key_without_one(who: dict[str, Any], identifier: str, name: str | None) -> None:
    told = observe(decision(**who))
    assert told.requests[0].call.consumer == identifier
    assert [(each.identifier, each.name) for each in told.consumers] == [(identifier, name)]


def test_a_key_of_which_nothing_is_known_is_no_consumer() -> None:
    told = observe(decision(user_id=None, api_key_id=8))
    assert told.requests[0].call.consumer is None
    assert told.consumers == []


@pytest.mark.parametrize(
    ("endpoint", "path", "url"),
    [
        ("/users/ann?page=2", "/users/{name}", "/users/ann?page=2"),
        ("/o/7?api_key=abc&x=1", "/o/{id}", "/o/7?api_key=[REDACTED]&x=1"),
        ("?x=1", "/", "?x=1"),
        ("orders", "orders", "orders"),
        ("/" + "z" * 2000, "/" + "z" * 1023, "/" + "z" * 2000),
    ],
)
def test_the_path_is_a_template_and_the_url_is_masked(endpoint: str, path: str, url: str) -> None:
    (request,) = observe(decision(endpoint=endpoint)).requests
    assert (request.call.path, request.url) == (path, url)


def test_calls_alike_within_a_minute_are_counted_together() -> None:
    told = observe(decision(0), decision(1), decision(2, outcome=2), decision(60_000), decision(3, method="post"))
    later = MINUTE + timedelta(minutes=1)
    assert {(each.at, each.call.method, each.call.status_code): each.requests for each in told.traffic} == {
        (MINUTE, "GET", 200): 2,
        (MINUTE, "GET", 429): 1,
        (later, "GET", 200): 1,
        (MINUTE, "POST", 200): 1,
    }
    assert len(told.requests) == 5
    assert [each.at for each in told.consumers] == [decision(3).at]


def test_the_request_is_known_by_the_decisions_own_id() -> None:
    (request,) = observe(decision()).requests
    assert request.uuid == decision().id


def test_names_are_cut_to_what_is_kept() -> None:
    callers = Callers({5: Caller("5", "U" * 100)}, {})
    told = observed_of([decision()], environment="prod", templates=Templates(), callers=callers)
    assert told.consumers[0].name == "U" * 64
