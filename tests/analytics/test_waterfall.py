"""How spans are drawn: each under its caller, at its place in time."""

from analytics.request_details import TraceSpan
from analytics.waterfall import BAR_MIN, WIDTH, waterfall

MS = 1_000_000


def span(span_id: str, parent: str = "", *, start_ms: int = 0, end_ms: int = 100, status: str = "UNSET") -> TraceSpan:
    return TraceSpan(span_id, parent, None, span_id, "INTERNAL", start_ms * MS, end_ms * MS, status, {})


def drawn(*spans: TraceSpan) -> list[tuple[str, int]]:
    return [(bar.span.span_id, bar.depth) for bar in waterfall(spans)]


def test_children_follow_their_caller_in_the_order_of_their_starts() -> None:
    spans = [span("b", "root", start_ms=50), span("root"), span("a", "root", start_ms=10), span("aa", "a", start_ms=20)]
    assert drawn(*spans) == [("root", 0), ("a", 1), ("aa", 2), ("b", 1)]


def test_every_span_is_drawn_once_be_it_an_orphan_or_in_a_ring() -> None:
    spans = [span("orphan", "gone"), span("one", "two"), span("two", "one"), span("self", "self")]
    assert sorted(drawn(*spans)) == [("one", 0), ("orphan", 0), ("self", 0), ("two", 1)]


def test_bars_lie_where_their_spans_lie_in_time() -> None:
    root, half = waterfall([span("root", start_ms=100, end_ms=300), span("half", "root", start_ms=200, end_ms=300)])
    assert (root.offset_ms, root.duration_ms, root.x, root.width) == (0, 200, 0, WIDTH)
    assert (half.offset_ms, half.duration_ms, half.x, half.width) == (100, 100, WIDTH / 2, WIDTH / 2)


def test_a_span_without_length_is_seen_and_stays_within_the_picture() -> None:
    _, end = waterfall([span("root"), span("end", "root", start_ms=100, end_ms=90, status="ERROR")])
    assert (end.duration_ms, end.x, end.width, end.is_error) == (0, WIDTH - BAR_MIN, BAR_MIN, True)
    (alone,) = waterfall([span("alone", end_ms=0)])
    assert (alone.x, alone.width) == (0, BAR_MIN)
    assert waterfall([]) == []
