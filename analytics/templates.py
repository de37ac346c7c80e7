"""How raw paths are folded into templates, so that the endpoints of an app stay countable (pure)."""

import re
from collections.abc import Iterable

TOKEN_LENGTH, HASH_LENGTH = 24, 16
UUID_FORM = re.compile(r"[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}", re.IGNORECASE)
HASH_FORM = re.compile(rf"[0-9a-f]{{{HASH_LENGTH},}}", re.IGNORECASE)
PARAMETER_FORM = re.compile(r"\{[^/{}]*\}|<[^/<>]*>|:[^/]+")


def template_of(path: str, routes: Iterable[str] = ()) -> str:
    """The app's own route where one matches segment by segment, else the path with its telling segments replaced.

    Query and fragment are cut. Of several routes the one with a literal at the first difference wins.
    """
    segments = re.split(r"[?#]", path, maxsplit=1)[0].split("/")
    matching = [route for route in routes if _matches(route, segments)]
    if matching:
        return min(matching, key=lambda route: ([_is_parameter(each) for each in route.split("/")], route))
    return "/".join(_fold(segment) for segment in segments)


def _matches(route: str, segments: list[str]) -> bool:
    parts = route.split("/")
    return len(parts) == len(segments) and all(
        part == segment or (segment != "" and _is_parameter(part))
        for part, segment in zip(parts, segments, strict=True)
    )


def _is_parameter(part: str) -> bool:
    """`{x}`, `:x` and `<int:x>` alike."""
    return PARAMETER_FORM.fullmatch(part) is not None


def _fold(segment: str) -> str:
    if segment.isascii() and segment.isdecimal():
        return "{id}"
    if UUID_FORM.fullmatch(segment):
        return "{uuid}"
    if HASH_FORM.fullmatch(segment):
        return "{hash}"
    if "@" in segment:
        return "{email}"
    if len(segment) >= TOKEN_LENGTH and any(character.isdecimal() for character in segment):
        return "{token}"
    return segment
