"""Which endpoints of an app a caller means: methods by name, paths by a pattern with `*`."""

import re
from collections.abc import Callable, Iterable

from analytics.models import App, Endpoint

Matches = Callable[[str], bool]


def pattern(text: str) -> Matches:
    """Whether a path matches: `*` stands for anything, also for nothing; every other character for itself."""
    compiled = re.compile(".*".join(map(re.escape, text.split("*"))), re.DOTALL)
    return lambda path: compiled.fullmatch(path) is not None


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
