"""A next_token is a place in one list: signed, short, good for a day, and never contradicted."""

import random
import string
import time
from typing import Any

import pytest
from django.core import signing

from analytics.paging import TOKEN_LENGTH, BadToken, Place, agreed, place_of, token_of

OWNER = "2147483647:request-logs:2147483647"
LONGEST = {
    "app_env_id": 2**31 - 1,
    "consumer_id": 2**31 - 1,
    "method": ["GET", "POST", "PROPFIND", "X" * 40],
    "status_code": [str(status) for status in range(170, 202)],
    "timezone": "America/Argentina/ComodRivadavia",
    "start": "2026-06-15T12:00:00.123456+00:00",
    "end": "2026-06-16T12:00:00.654321+00:00",
    "range": ["2026-06-15T12:00:00.123456+00:00", "2026-06-16T12:00:00.654321+00:00"],
}
AFTER = ["2026-06-15T13:17:43.654321+00:00", "00112233445566778899aabbccddeeff"]


def _noise(length: int) -> str:
    """A path that cannot be compressed."""
    return "".join(random.Random(3).choices(string.ascii_letters + string.digits + "äöü漢字🎉", k=length))


def test_a_place_comes_back_as_it_was() -> None:
    place = Place(LONGEST | {"path": "/v1/*"}, AFTER)
    assert place_of(token_of(place, owner=OWNER), owner=OWNER) == place


@pytest.mark.parametrize("path", ["/v1/*", "/users" * 170, _noise(300), _noise(1024), "🎉" * 1024])
def test_no_token_grows_longer_than_it_may_be(path: str) -> None:
    token = token_of(Place(LONGEST | {"path": path}, AFTER), owner=OWNER)
    assert len(token) <= TOKEN_LENGTH
    place = place_of(token, owner=OWNER)
    assert agreed(place, {"path": path})["path"] == path
    with pytest.raises(BadToken, match="path contradicts"):
        agreed(place, {"path": f"{path}x"})


def test_a_path_too_long_to_be_carried_must_be_repeated() -> None:
    kept = place_of(token_of(Place({"path": "/users" * 170}, []), owner=OWNER), owner=OWNER)
    lost = place_of(token_of(Place({"path": _noise(1024)}, []), owner=OWNER), owner=OWNER)
    assert agreed(kept, {}) == {"path": "/users" * 170}
    with pytest.raises(BadToken, match="path is too long"):
        agreed(lost, {})


@pytest.mark.parametrize("given", [{"limit_by": 1}, {"method": ["GET"]}, {"consumer_id": 5}, {"method": []}])
def test_a_parameter_may_be_repeated_but_not_changed(given: dict[str, Any]) -> None:
    place = Place({"method": ["POST"], "app_env_id": 3}, [])
    assert agreed(place, {}) == agreed(place, {"method": ["POST"]}) == place.query
    with pytest.raises(BadToken, match="contradicts"):
        agreed(place, given)


def test_a_token_is_good_in_its_own_list_for_a_day(monkeypatch: pytest.MonkeyPatch) -> None:
    token = token_of(Place({}, [1]), owner=OWNER)
    issued = time.time()
    for bad in (f"{token}x", token[:-1], "", "a:b:c", "x" * 2000, token.replace(":", "!")):
        with pytest.raises(BadToken, match="not one of ours"):
            place_of(bad, owner=OWNER)
    with pytest.raises(BadToken, match="another list"):
        place_of(token, owner="1:request-logs:2")
    monkeypatch.setattr("django.core.signing.time.time", lambda: issued + 24 * 3600 - 5)
    assert place_of(token, owner=OWNER).after == [1]
    monkeypatch.setattr("django.core.signing.time.time", lambda: issued + 24 * 3600 + 5)
    with pytest.raises(BadToken, match="older than 24 hours"):
        place_of(token, owner=OWNER)


def test_a_signature_over_something_else_is_no_token() -> None:
    for value in ({"a": 1}, "text", [1, 2], 7):
        with pytest.raises(BadToken):
            place_of(signing.dumps(value, salt="analytics.paging"), owner=OWNER)
    with pytest.raises(BadToken):
        place_of(signing.dumps([OWNER, {}, []], salt="another"), owner=OWNER)
