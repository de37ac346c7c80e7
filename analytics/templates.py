"""How raw paths are folded into templates, so that the endpoints of an app stay countable (pure)."""

import re
from collections.abc import Iterable, Sequence

OTHER_PATH = "/{other}"  # of endpoints for which an app has no room
TOKEN_LENGTH, HASH_LENGTH = 24, 16
UUID_FORM = re.compile(r"[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}", re.IGNORECASE)
HASH_FORM = re.compile(rf"[0-9a-f]{{{HASH_LENGTH},}}", re.IGNORECASE)
PARAMETER_FORM = re.compile(r"\{[^/{}]*\}|<[^/<>]*>|:[^/]+")


def template_of(path: str, routes: Iterable[str] = ()) -> str:
    """The app's own route where one matches segment by segment, else the path with its telling segments replaced.

    Query and fragment are cut. Of several routes the one with a literal at the first difference wins.
    """
    return Templates(routes).of(path)


class Templates:
    """What an app makes of raw paths: overrides go before its routes. It remembers all that it was asked."""

    def __init__(self, routes: Iterable[str] = (), *, overrides: Iterable[str] = ()) -> None:
        self._known = (_tree(overrides), _tree(routes))
        self._asked: dict[str, str] = {}

    def of(self, path: str) -> str:
        template = self._asked.get(path)
        if template is None:
            template = self._asked[path] = self._of(re.split(r"[?#]", path, maxsplit=1)[0].split("/"))
        return template

    def _of(self, segments: Sequence[str]) -> str:
        for tree in self._known:
            if (route := tree.match(segments)) is not None:
                return route
        return "/".join(_fold(segment) for segment in segments)


class _Node:
    """What may follow some segments: literals, a parameter, however it is spelled, or the end of a route."""

    __slots__ = ("literals", "parameter", "route")

    def __init__(self) -> None:
        self.literals: dict[str, _Node] = {}
        self.parameter: _Node | None = None
        self.route: str | None = None

    def add(self, route: str) -> None:
        node = self
        for part in route.split("/"):
            if _is_parameter(part):
                node.parameter = node.parameter or _Node()
                node = node.parameter
            else:
                node = node.literals.setdefault(part, _Node())
        node.route = route if node.route is None else min(node.route, route)

    def match(self, segments: Sequence[str]) -> str | None:
        """Literals are tried before parameters, from the left."""
        untried = [(self, 0)]
        while untried:
            node, index = untried.pop()
            if index == len(segments):
                if node.route is not None:
                    return node.route
                continue
            segment = segments[index]
            if node.parameter and segment:
                untried.append((node.parameter, index + 1))
            if literal := node.literals.get(segment):
                untried.append((literal, index + 1))
        return None


def _tree(routes: Iterable[str]) -> _Node:
    root = _Node()
    for route in routes:
        root.add(route)
    return root


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
    if "@" in segment or "%40" in segment:
        return "{email}"
    if len(segment) >= TOKEN_LENGTH and any(character.isdecimal() for character in segment):
        return "{token}"
    return segment
