"""Known ways to hurt who reads a report: each is refused with a word, or costs its own item alone."""

import gzip

import pytest

from analytics.observations import BadReport
from tests.analytics.hub_reports import SECONDS, UUID_TEXT, log_body, parsed

DEEP = b'{"x":' + b"[" * 100_000
MANY = b",".join([b"{}"] * 100_001)
NAME = b"x" * 10_000_000
LINE = b'{"uuid":"%s","request":{"timestamp":%d,"method":"GET"},"spans":[%s]}'


# By names, for a body's own bytes would be a test's name (and gzip writes the time into them).
UNUSABLE = {
    "nothing": (b"", "bad_json"),
    "nothing, compressed": (gzip.compress(b""), "bad_json"),
    "truncated gzip": (gzip.compress(b'{"a":1}')[:-9], "bad_gzip"),
    "bomb": (gzip.compress(b"[" * 17_000_000), "too_large"),
    "rubbish behind gzip": (gzip.compress(b'{"a":1}') + b"rubbish", "bad_gzip"),
    "deep": (DEEP, "too_deep"),
    "not UTF-8": (b"\xff\xfe{}", "bad_json"),
    "half an object": (b'{"a":1', "bad_json"),
    "NaN": (b"NaN", "unknown_shape"),
    "a huge number": (b"9" * 10_000, "unknown_shape"),
    "a name of ten megabytes": (gzip.compress(b'{"a":"' + NAME + b'"}'), "too_large"),
}
CROWDED = {
    "paths": ("startup", b'{"paths":[%s]}' % MANY),
    "rows": ("sync", b'{"timestamp":%d,"requests":[%s]}' % (SECONDS, MANY)),
    "numbers": ("sync", b'{"timestamp":%d,"requests":[%s]}' % (SECONDS, b",".join([b"0"] * 2_000_000))),
    "spans": ("log", LINE % (UUID_TEXT.encode(), SECONDS, MANY)),
    "lines": ("log", b"{}\n" * 100_001),
    "events": ("logpush", b"[%s]" % MANY),
    "messages": ("logpush", b'{"Logs":[%s]}' % MANY),
}


@pytest.mark.parametrize("kind", ["startup", "sync", "log", "logpush"])
@pytest.mark.parametrize("name", UNUSABLE)
def test_what_cannot_be_used_is_refused_with_a_word(kind: str, name: str) -> None:
    body, reason = UNUSABLE[name]
    with pytest.raises(BadReport) as refused:
        parsed(kind, body)
    assert refused.value.reason == reason


@pytest.mark.parametrize("name", CROWDED)
def test_more_than_100000_items_are_too_many(name: str) -> None:
    with pytest.raises(BadReport) as refused:
        parsed(*CROWDED[name])
    assert refused.value.reason == "too_many"


def test_a_million_attributes_cost_no_more_than_their_surplus() -> None:
    attributes = b",".join(b'"%d":1' % number for number in range(300_000))
    span = b'{"span_id":"%s","start_time":%d,"end_time":%d,"attributes":{%s}}'
    ns = int(SECONDS) * 10**9
    body = LINE % (UUID_TEXT.encode(), SECONDS, span % (b"a" * 16, ns, ns, attributes))
    found = parsed("log", body)
    assert len(found.observed[0].spans[0].attributes) == 128
    assert found.dropped == {"too_many_attributes": 300_000 - 128}


def test_huge_names_within_a_line_are_cut_or_left_out() -> None:
    """A name of three megabytes in each place that takes one."""
    huge = "x" * 3_000_000
    told = {"uuid": UUID_TEXT, "request": {"timestamp": SECONDS, "method": "GET", "url": huge}}
    assert len(parsed("log", log_body(told)).observed[0].requests[0].url) == 4096
    told["request"] = {"timestamp": SECONDS, "method": huge}
    assert parsed("log", log_body(told)).dropped == {"too_long": 1}
