"""How one request's spans are drawn: under the one that called them, each at its place in time (pure)."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from analytics.request_details import TraceSpan

NS_IN_MS = 1_000_000
# How wide the picture is in its own units, and the least width of a bar: a span of no length is still seen.
WIDTH, BAR_MIN = 1_000.0, 4.0


@dataclass(frozen=True, slots=True)
class Bar:
    """A span; `offset_ms` from the first one's start. `x` and `width` are of WIDTH."""

    span: TraceSpan
    depth: int
    offset_ms: float
    duration_ms: float
    x: float
    width: float

    @property
    def is_error(self) -> bool:
        return self.span.status == "ERROR"

    @property
    def indent(self) -> str:
        return "– " * self.depth


def waterfall(spans: Sequence[TraceSpan]) -> list[Bar]:
    """A span's children follow it, in the order of their starts; clocks of other machines may put one before it."""
    if not spans:
        return []
    first = min(span.start_ns for span in spans)
    whole = max(1, max(span.end_ns for span in spans) - first)
    return [_bar(span, depth, first, whole) for span, depth in _in_order(spans)]


def _in_order(spans: Iterable[TraceSpan]) -> Iterator[tuple[TraceSpan, int]]:
    """Each span once with its depth; what hangs in a ring, or below nothing that is here, stands by itself."""
    by_id = {span.span_id: span for span in spans}
    below: defaultdict[str, list[TraceSpan]] = defaultdict(list)
    for span in sorted(by_id.values(), key=lambda span: (span.start_ns, span.span_id)):
        below[span.parent_span_id if span.parent_span_id in by_id else ""].append(span)
    left = dict(by_id)
    waiting = [(span, 0) for span in reversed(below[""])]
    while left:
        span, depth = waiting.pop() if waiting else (next(iter(left.values())), 0)
        if left.pop(span.span_id, None) is not None:
            yield span, depth
            waiting += [(child, depth + 1) for child in reversed(below[span.span_id])]


def _bar(span: TraceSpan, depth: int, first: int, whole: int) -> Bar:
    length = max(0, span.end_ns - span.start_ns)
    width = min(WIDTH, max(BAR_MIN, length / whole * WIDTH))
    x = min((span.start_ns - first) / whole * WIDTH, WIDTH - width)
    return Bar(span, depth, (span.start_ns - first) / NS_IN_MS, length / NS_IN_MS, round(x, 1), round(width, 1))
