"""What a sync counts, and what of it is left out with which reason."""

from collections import Counter
from datetime import timedelta

import pytest

from analytics.models import ErrorKind, Source
from analytics.observations import BadReport, Call, ConsumerTold, Resources, SeenError, Traffic
from tests.analytics.hub_reports import NOW, SECONDS, observed, parsed, sizes, times

ROW = {
    "consumer": "bob",
    "method": "POST",
    "path": "/orders",
    "status_code": 201,
    "request_count": 3,
    "request_size_sum": 46,
    "response_size_sum": 11,
    "response_times": {"0": 2, "120": 1},
    "request_sizes": {"0": 2},
    "response_sizes": {},
}
COUNTED = Traffic(
    at=NOW,
    call=Call("POST", "/orders", 201, "bob"),
    source=Source.METRIC,
    requests=3,
    bytes_received=46,
    bytes_sent=11,
    durations=times((0, 2), (120, 1)),
    request_sizes=sizes((0, 2)),
)


def _sync(**fields: object) -> dict[str, object]:
    return {"message_uuid": "m", "instance_uuid": "i", "timestamp": SECONDS, **fields}


def test_sizes_that_were_not_known_are_in_no_histogram() -> None:
    assert observed("sync", _sync(requests=[ROW])).traffic == [COUNTED]


def test_it_is_filed_at_its_minute() -> None:
    late = observed("sync", _sync(timestamp=SECONDS - 61.25, requests=[ROW]))
    assert [each.at for each in late.traffic] == [NOW - timedelta(minutes=2)]
    assert late.alive == [(Source.METRIC, NOW - timedelta(seconds=61.25))]


def test_a_clock_that_is_ahead_is_filed_at_receipt() -> None:
    assert observed("sync", _sync(timestamp=SECONDS + 540)).alive == [(Source.METRIC, NOW + timedelta(minutes=9))]
    for ahead in (SECONDS + 660, 4_102_444_800, 1e300, 10**400):
        assert observed("sync", _sync(timestamp=ahead, requests=[ROW])).traffic == [COUNTED]


@pytest.mark.parametrize("seconds", [SECONDS - 48 * 3600 - 1, 0, -1, 100, -(10**400)])
def test_what_is_two_days_old_is_too_late(seconds: float) -> None:
    with pytest.raises(BadReport) as refused:
        parsed("sync", _sync(timestamp=seconds, requests=[ROW]))
    assert refused.value.reason == "too_late"


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"path": None}, "no_path"),  # unmatched requests are never counted
        ({"path": ""}, "no_path"),
        ({"path": "/" + "x" * 1024}, "too_long"),
        ({"method": None}, "no_method"),
        ({"method": "x" * 17}, "too_long"),
        ({"method": "x" * 1_000_000}, "too_long"),
        ({"status_code": None}, "bad_status"),
        ({"status_code": 99}, "bad_status"),
        ({"status_code": 600}, "bad_status"),
        ({"request_count": 0}, "no_count"),
        ({"request_count": -1}, "negative_count"),
        ({"request_count": 10**9 + 1}, "out_of_range"),
        ({"request_count": 10**300}, "out_of_range"),
        ({"request_size_sum": -1}, "negative_count"),
        ({"response_size_sum": 10**14}, "out_of_range"),
        ({"response_times": {"0": -1}}, "bad_histogram"),
        ({"response_times": {"-10": 1}}, "bad_histogram"),
        ({"response_times": {"fast": 1}}, "bad_histogram"),
        ({"response_times": {"9" * 400: 1}}, "bad_histogram"),
        ({"response_sizes": {"0": 10**12}}, "bad_histogram"),
        ({"request_sizes": {str(key): 1 for key in range(10_001)}}, "bad_histogram"),
        ({"request_sizes": {"0": 1.5}}, "unknown_shape"),
        ({"request_count": "3"}, "unknown_shape"),
        ({"consumer": ["bob"]}, "unknown_shape"),
        ({"method": 7}, "unknown_shape"),
    ],
)
def test_a_bad_row_is_left_out_and_the_rest_counts(change: dict[str, object], reason: str) -> None:
    found = parsed("sync", _sync(requests=[ROW, ROW | change, ROW]))
    assert found.observed[0].traffic == [COUNTED, COUNTED]
    assert found.dropped == Counter({reason: 1})


def test_the_rest_of_a_row_may_be_absent() -> None:
    """Go leaves out who called; lists that are empty; what it does not measure."""
    row = {"method": "get", "path": "/", "status_code": 200, "request_count": 1}
    assert observed("sync", {"timestamp": SECONDS, "requests": [row]}).traffic == [
        Traffic(at=NOW, call=Call("GET", "/", 200), source=Source.METRIC, requests=1)
    ]


@pytest.mark.parametrize("nobody", [None, "", "  "])
def test_an_empty_consumer_is_none(nobody: str | None) -> None:
    (counted,) = observed("sync", _sync(requests=[ROW | {"consumer": nobody}])).traffic
    assert counted.call == Call("POST", "/orders", 201)


@pytest.mark.parametrize(
    ("told", "kept"),
    [
        (42, "42"),
        ({"identifier": "bob", "name": "Bob"}, "bob"),
        ({"identifier": 42}, "42"),
        ({"identifier": None}, None),
        ({}, None),
    ],
)
def test_a_consumer_told_as_a_number_or_an_object_is_known_by_its_identifier(told: object, kept: str | None) -> None:
    error = {"consumer": told, "method": "GET", "path": "/", "msg": "no", "type": "Error", "error_count": 1}
    found = observed("sync", _sync(requests=[ROW | {"consumer": told}], server_errors=[error]))
    assert [each.call for each in found.traffic] == [Call("POST", "/orders", 201, kept)]
    assert [each.consumer for each in found.errors] == [kept]


def test_names_are_cut_as_sdks_cut_them_and_cleaned() -> None:
    found = observed(
        "sync",
        _sync(
            requests=[ROW | {"consumer": " " + "c" * 200, "path": "/a\0b"}],
            consumers=[{"identifier": "c" * 200, "name": "n" * 100 + "\0", "group": "g\ud800" + "g" * 100}],
        ),
    )
    assert found.traffic[0].call == Call("POST", "/a\ufffdb", 201, "c" * 127)
    assert found.consumers == [ConsumerTold("c" * 128, NOW, name="n" * 64, group="g\ufffd" + "g" * 62)]


def test_consumers_are_told_when_they_have_a_name_or_a_group() -> None:
    told = [
        {"identifier": "ann", "name": "Ann", "group": None},
        {"identifier": "bob", "group": "Admins"},
        {"identifier": 7, "name": "Seven"},
        {"identifier": "carl", "name": "", "group": ""},
        {"identifier": "", "name": "Nobody"},
        {"name": "Nobody"},
        17,
    ]
    found = parsed("sync", _sync(consumers=told))
    assert found.observed[0].consumers == [
        ConsumerTold("ann", NOW, name="Ann"),
        ConsumerTold("bob", NOW, group="Admins"),
        ConsumerTold("7", NOW, name="Seven"),
    ]
    assert found.dropped == Counter({"no_identifier": 2, "unknown_shape": 1})


def test_errors_of_both_kinds() -> None:
    call = {"consumer": None, "method": "post", "path": "/orders", "type": "missing", "msg": "why", "error_count": 2}
    found = parsed(
        "sync",
        _sync(
            validation_errors=[
                call | {"loc": ["body", "items", 0, "qty"]},
                call | {"loc": "query.page"},
                call | {"loc": []},
                call | {"loc": None, "type": "", "error_count": -2},
                call | {"path": None},
            ],
            server_errors=[call | {"traceback": "T" * 70_000, "sentry_event_id": "s1", "loc": ["not", "here"]}],
        ),
    )
    bad_field = SeenError(NOW, ErrorKind.VALIDATION, "POST", "/orders", None, "missing", "why", 2)
    assert [(error.location, error.count) for error in found.observed[0].errors[:3]] == [
        ("body.items.0.qty", 2),
        ("query.page", 2),
        ("", 2),
    ]
    assert found.observed[0].errors[2] == bad_field
    assert found.observed[0].errors[3] == SeenError(
        NOW,
        ErrorKind.SERVER,
        "POST",
        "/orders",
        None,
        "missing",
        "why",
        2,
        stacktrace="T" * 65_536,
        sentry_event_id="s1",
    )
    assert found.dropped == Counter({"negative_count": 1, "no_path": 1})


@pytest.mark.parametrize(
    ("told", "kept", "dropped"),
    [
        (None, [], {}),
        ({"cpu_percent": 350.5, "memory_rss": 1024}, [Resources(NOW, 350.5, 1024)], {}),
        ({"cpu_percent": 0, "memory_rss": 0}, [Resources(NOW, 0.0, 0)], {}),
        ({"cpu_percent": None, "memory_rss": 1024.0}, [Resources(NOW, None, 1024)], {}),
        ({"cpu_percent": -1, "memory_rss": 10**30}, [], {"out_of_range": 2}),
        ({}, [], {}),
        ("much", [], {"unknown_shape": 1}),
    ],
)
def test_resources(told: object, kept: list[Resources], dropped: dict[str, int]) -> None:
    found = parsed("sync", _sync(resources=told))
    assert (found.observed[0].resources, found.dropped) == (kept, Counter(dropped))


@pytest.mark.parametrize("instead", ["rows", 5, {"a": 1}, True])
def test_what_is_no_list_is_left_out_as_one(instead: object) -> None:
    found = parsed("sync", _sync(requests=instead, consumers=[{"identifier": "ann", "name": "Ann"}]))
    assert found.observed[0].consumers == [ConsumerTold("ann", NOW, name="Ann")]
    assert found.dropped == Counter({"unknown_shape": 1})


def test_a_message_is_known_by_its_uuid_else_by_its_content() -> None:
    def identity(**fields: object) -> bytes:
        return parsed("sync", _sync(**fields)).identity

    assert identity() == identity(requests=[ROW])
    assert identity() != identity(message_uuid="other")
    assert identity(message_uuid=None) == identity(message_uuid=None)
    assert identity(message_uuid=None) != identity(message_uuid=None, requests=[ROW])
    assert identity() != parsed("startup", _sync()).identity


def test_a_text_that_javascript_cut_within_a_character_does_not_cost_the_report() -> None:
    """JSON.stringify writes the half of a surrogate pair as an escape that strict readers refuse."""
    error = {"method": "GET", "path": "/", "msg": "cut \ud83d", "type": "Error", "error_count": 1}
    found = observed("sync", _sync(requests=[ROW], server_errors=[error]))
    assert found.traffic == [COUNTED]
    assert [each.message for each in found.errors] == ["cut \ufffd"]


def test_a_nan_that_python_wrote_does_not_cost_the_report() -> None:
    found = observed("sync", _sync(requests=[ROW], resources={"cpu_percent": float("nan"), "memory_rss": 7}))
    assert found.traffic == [COUNTED]
    assert found.resources == [Resources(NOW, None, 7)]
