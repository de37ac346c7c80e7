"""Which paths a pattern means: `*` stands for anything, and no pattern takes long."""

import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analytics.endpoints import pattern


@given(st.text("ab*%.\n", max_size=8), st.text("ab%.\n", max_size=10))
def test_a_pattern_matches_as_a_regular_expression_of_its_pieces_would(text: str, path: str) -> None:
    expression = ".*".join(map(re.escape, text.split("*")))
    assert pattern(text)(path) is (re.fullmatch(expression, path, re.DOTALL) is not None)


@pytest.mark.parametrize(
    ("text", "path", "matches"),
    [
        ("", "", True),
        ("", "/", False),
        ("*", "", True),
        ("/a", "/a", True),
        ("/a", "/a/b", False),
        ("/a*a", "/a", False),
        ("/a*a", "/aa", True),
        ("*ab*ab", "/ab", False),
        ("**/x**", "/y/x", True),
        ("/v*/users/*/x", "/v1/users/users/7/x", True),
        ("/a*b*", "/ba", False),
    ],
)
def test_pieces_are_found_one_behind_the_other(text: str, path: str, matches: bool) -> None:
    assert pattern(text)(path) is matches


def test_a_pattern_of_many_stars_is_as_quick_as_any() -> None:
    """As regular expressions these would be at it for longer than the earth is old."""
    started = time.perf_counter()
    for text in ("*a" * 511 + "*b", "a*" * 511 + "b", "*" * 1024, "*aaaaaaab" * 100):
        assert pattern(text)("a" * 1024) is (text == "*" * 1024)
    assert time.perf_counter() - started < 1
