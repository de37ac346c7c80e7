"""Which endpoints of an app a caller means: methods by name, paths by a pattern with `*`."""

from collections.abc import Callable, Iterable

from analytics.models import App, Endpoint

Matches = Callable[[str], bool]


def pattern(text: str) -> Matches:
    """Whether a path matches: `*` stands for anything, also for nothing; every other character for itself.

    Looked for piece by piece, each where it comes first: a regular expression would try the places of all stars against
    each other, and a text of some twenty stars would hold a processor for years.
    """
    first, *middle = text.split("*")
    if not middle:
        return lambda path: path == text
    last = middle.pop()

    def matches(path: str) -> bool:
        place, end = len(first), len(path) - len(last)
        if place > end or not (path.startswith(first) and path.endswith(last)):
            return False
        for piece in middle:
            found = path.find(piece, place, end)
            if found < 0:
                return False
            place = found + len(piece)
        return True

    return matches


def matching(
    app: App, *, methods: Iterable[str] = (), path: str | None = None, environment_id: int | None = None
) -> list[Endpoint]:
    """Routes alone, by path and method; what matched no route never matches a path. One SELECT."""
    rows = Endpoint.objects.filter(app=app).exclude(path="").order_by("path", "method")
    if wanted := set(methods):
        rows = rows.filter(method__in=wanted)
    if environment_id is not None:
        rows = rows.filter(environments=environment_id)
    if path is None:
        return list(rows)
    matches = pattern(path)
    return [endpoint for endpoint in rows if matches(endpoint.path)]
