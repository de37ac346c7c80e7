"""Secrets that were reported are not kept."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analytics.masking import BODY, BODY_MAX_BYTES, MASKED, TOO_LARGE, mask_body, mask_headers, mask_url

texts = st.text(max_size=20)
bodies = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | texts,
    lambda inner: (
        st.lists(inner) | st.dictionaries(texts | st.sampled_from(["password", "X-Token", "card number"]), inner)
    ),
)


@pytest.mark.parametrize(
    ("url", "masked"),
    [
        ("https://a.b/c", "https://a.b/c"),
        ("https://a.b/c?x=1&API-Key=s&y=", "https://a.b/c?x=1&API-Key=[REDACTED]&y="),
        ("/c?access_token=a%3Db=c#top", "/c?access_token=[REDACTED]#top"),
        ("/c#access_token=a&x=1", "/c#access_token=[REDACTED]&x=1"),
        ("/c?api%5Fkey=s&access%5ftoken=s", "/c?api%5Fkey=[REDACTED]&access%5ftoken=[REDACTED]"),
        ("/c?%61pi%2Dkey=s&p%77d=s&%zz=1", "/c?%61pi%2Dkey=[REDACTED]&p%77d=[REDACTED]&%zz=1"),
        ("/c?token", "/c?token"),
        ("/c?token=", "/c?token="),
        ("/token/secret?x=1", "/token/secret?x=1"),
        ("/c?a=b?pwd=1", "/c?a=b?pwd=1"),
        ("/c?token=******&pwd=%2A%2A%2A%2A%2A%2A", "/c?token=******&pwd=%2A%2A%2A%2A%2A%2A"),
    ],
)
def test_secrets_in_a_query(url: str, masked: str) -> None:
    assert mask_url(url) == masked


def test_secrets_in_headers() -> None:
    given_headers = [
        ("Authorization", "Bearer x"),
        ("set-cookie", "a=b"),
        ("X-API-Key", "k"),
        ("Accept", "*/*"),
        ("Location", "/next?token=t"),
    ]
    assert [value for _, value in mask_headers(given_headers)] == [
        MASKED, MASKED, MASKED, "*/*", "/next?token=[REDACTED]",
    ]  # fmt: skip


def test_secrets_in_a_body_at_any_depth_and_strings_alone() -> None:
    body = '{"user":{"Password":"x","tokens":["a"],"token":7,"cvc":"123"},"list":[{"ssn":"1"}],"name":"Ann"}'
    assert json.loads(mask_body(body)) == {
        "user": {"Password": MASKED, "tokens": ["a"], "token": 7, "cvc": MASKED},
        "list": [{"ssn": MASKED}],
        "name": "Ann",
    }


def test_numbers_stay_as_they_were_written() -> None:
    body = '{"price":1.10,"much":1e5,"id":123456789012345678901234567890,"list":[-0.0,0]}'
    assert mask_body(body) == body


@pytest.mark.parametrize("body", ["", "plain text", "password=x", '"a string"', "17", '{"broken": ', "******"])
def test_what_is_no_json_object_stays(body: str) -> None:
    assert mask_body(body) == body


@pytest.mark.parametrize(
    ("body", "masked"),
    [
        ('{"password":"x","ratio":NaN}', '{"password":"[REDACTED]","ratio":NaN}'),
        ('{"pwd" : "a\\"b"}\n{"k":"v"}\n', '{"pwd" : "[REDACTED]"}\n{"k":"v"}\n'),
        ('{"k":"v","secret":"cut o', '{"k":"v","secret":"[REDACTED]'),
        ('said "hi": {"token":"x"}', 'said "hi": {"token":"[REDACTED]"}'),
        ('{"auth":"******","cvc":7,', '{"auth":"******","cvc":7,'),
    ],
)
def test_secrets_in_what_only_looks_like_json(body: str, masked: str) -> None:
    assert mask_body(body) == masked


def test_what_an_sdk_has_masked_is_left() -> None:
    assert list(mask_headers([("cookie", "******"), ("x-token", MASKED)])) == [
        ("cookie", "******"),
        ("x-token", MASKED),
    ]
    assert mask_body('{"password":"******","pwd":"*****"}') == '{"password":"******","pwd":"[REDACTED]"}'


def test_too_large_a_body_is_a_word() -> None:
    assert mask_body("x" * BODY_MAX_BYTES) == "x" * BODY_MAX_BYTES
    assert mask_body("ä" * (BODY_MAX_BYTES // 2 + 1)) == TOO_LARGE


def test_what_lies_too_deep_to_be_read_is_masked() -> None:
    assert mask_body("[" * 20_000 + "]" * 20_000) == MASKED
    assert mask_body("[" * 200 + '{"pwd":"x"}' + "]" * 200).strip("[]") == json.dumps(MASKED)


@given(bodies)
def test_no_secret_passes_and_nothing_else_changes(value: Any) -> None:
    def expected(part: Any) -> Any:
        if isinstance(part, dict):
            return {
                name: MASKED if isinstance(inner, str) and BODY.search(name) else expected(inner)
                for name, inner in part.items()
            }
        return [expected(inner) for inner in part] if isinstance(part, list) else part

    assert json.loads(mask_body(json.dumps(value))) == expected(value)
