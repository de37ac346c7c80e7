"""What observations become: traffic, exactly; within an app's limits; and how little a warm batch costs."""

from collections import Counter
from datetime import UTC, datetime

from django.db import connection
from pytest_django import Settings

from analytics import models
from analytics.histograms import SIZE, TIME, Histogram, from_pairs, unpack
from analytics.models import Source
from analytics.observations import Observed, Resources
from tests.analytics.reporting import (
    DAY,
    HOUR,
    MINUTE,
    NOW,
    call,
    error,
    file,
    filed,
    new_app,
    observed,
    request,
    rows,
    told,
    traffic,
)
from tests.cast import Tenant
from tests.queries import counting_queries

QUARTER = datetime(2026, 6, 15, 12, 0, tzinfo=UTC)


# --- traffic ------------------------------------------------------------------------------------------------------
def test_requests_of_one_minute_are_one_row_and_of_one_quarter_hour_one_sum(alice: Tenant) -> None:
    app = new_app(alice)
    by = call(consumer="uma")
    said = observed(traffic(2, of=by), traffic(3, of=by), traffic(4, of=by, at=NOW + MINUTE))
    file(app, said)
    assert filed() == told(app, [said])
    assert list(models.TrafficMinute.objects.order_by("minute").values_list("requests", flat=True)) == [5, 4]


def test_a_total_is_of_all_consumers_and_knows_sizes(alice: Tenant) -> None:
    sizes = from_pairs([(100.0, 1)], SIZE)
    said = [traffic(1, of=call(consumer=name), bytes_sent=100, response_sizes=sizes) for name in ("uma", "ugo")]
    file(new_app(alice), observed(*said, traffic(1)))
    total = models.TrafficQuarterTotal.objects.get()
    assert (total.requests, total.bytes_sent) == (3, 200)
    assert unpack(total.response_sizes) == Histogram(buckets=Counter({53: 2}))


def test_an_environments_sums_are_of_all_that_was_called_and_stay_within_a_bigint(alice: Tenant) -> None:
    app = new_app(alice)
    file(app, observed(traffic(1), traffic(2, of=call("/b", status=204)), traffic(4, source=Source.SPAN)))
    sums = models.EnvironmentQuarter.objects.order_by("source")
    assert list(sums.values_list("source", "requests")) == [(Source.SPAN, 4), (Source.METRIC, 3)]
    with connection.cursor() as cursor:
        cursor.execute("UPDATE analytics_environmentquarter SET bytes_sent = 9223372036854775800")
    file(app, observed(traffic(1, bytes_sent=100)))
    assert list(sums.values_list("requests", "bytes_sent")) == [(4, 2**63 - 8), (4, 2**63 - 1)]


def test_an_environments_sums_know_how_requests_ended_and_how_long_they_took(alice: Tenant) -> None:
    fast, slow = from_pairs([(0.1, 2)], TIME), from_pairs([(0.1, 1), (3.0, 1)], TIME)
    file(
        new_app(alice),
        observed(
            traffic(2, durations=fast),
            traffic(2, of=call("/b"), durations=slow),
            traffic(3, of=call(status=404)),
            traffic(1, of=call(status=503), durations=slow),
        ),
    )
    found = models.EnvironmentQuarter.objects.order_by("status_class")
    assert list(found.values_list("status_class", "requests")) == [(2, 4), (4, 3), (5, 1)]
    counts = [sorted(unpack(each.durations).buckets.values()) for each in found]
    assert counts == [[1, 3], [3], [1, 1]]


def test_each_source_environment_status_and_quarter_hour_counts_apart(alice: Tenant) -> None:
    app = new_app(alice)
    said = [
        observed(traffic(1), traffic(2, source=Source.SPAN), traffic(3, of=call(status=500))),
        observed(traffic(4, at=NOW - HOUR), traffic(5, of=call(method="POST")), environment="dev"),
    ]
    file(app, *said)
    assert filed() == told(app, said)
    assert len(filed()) == 5


def test_a_neighbours_app_of_the_same_names_counts_apart(alice: Tenant, bob: Tenant) -> None:
    ours, theirs = new_app(alice), new_app(bob)
    said = observed(traffic(1, of=call(consumer="uma")))
    file(ours, said)
    file(theirs, said)
    assert filed() == told(ours, [said]) | told(theirs, [said])
    assert models.Consumer.objects.count() == 2


def test_what_no_app_has_in_a_minute_is_left_out_and_the_rest_counts(alice: Tenant) -> None:
    burst = Histogram(buckets=Counter({1: 2**31 + 1}))
    said = [traffic(2**31 + 1), traffic(1, bytes_sent=2**46 + 1), traffic(1, durations=burst)]
    assert file(new_app(alice), observed(*said, traffic(2**31), traffic(7, bytes_sent=2**46))) == {"too_many": 3}
    assert [amounts[:3] for amounts in filed().values()] == [(2**31 + 7, 0, 2**46)]


def test_partitions_are_made_when_they_are_lacking_across_the_turn_of_a_month(alice: Tenant) -> None:
    app = new_app(alice)
    turn = datetime(2031, 3, 1, tzinfo=UTC)
    said = observed(traffic(1, at=turn - MINUTE), traffic(2, at=turn), requests=[request(at=turn - MINUTE)])
    file(app, said, now=turn)
    file(app, said, now=turn)
    assert sum(amounts[0] for amounts in filed().values()) == 6
    assert rows("SELECT to_regclass('analytics_trafficquarter_203102') IS NOT NULL")[0][0]
    assert rows("SELECT to_regclass('analytics_requestlog_20310228') IS NOT NULL")[0][0]
    assert models.RequestLog.objects.count() == 1


# --- what a warm batch costs --------------------------------------------------------------------------------------
def _busy(requests: int, *, nonce: int = 0) -> list[Observed]:
    names = [call(f"/{n % 7}", consumer=f"u{n % 5}") for n in range(requests)]
    numbers = range(nonce, nonce + requests)
    logged = [request(number + 1, of=of) for number, of in zip(numbers, names, strict=True)]
    errors = [error(1, consumer="u1") for _ in numbers]
    resources = [Resources(NOW, 1.0, 2)]
    counted = [traffic(1, of=of) for of in names]
    return [observed(*counted, requests=logged, errors=errors, resources=resources, alive=[(Source.METRIC, NOW)])]


def test_what_a_batch_costs_does_not_grow_with_it(alice: Tenant) -> None:
    app = new_app(alice)
    file(app, *_busy(10))
    with counting_queries() as small:
        file(app, *_busy(10, nonce=100))
    with counting_queries() as large:
        file(app, *_busy(500, nonce=1000))
    assert len(small) == len(large) <= 25


def test_names_that_are_known_are_not_written_again(alice: Tenant) -> None:
    app = new_app(alice)
    said = observed(traffic(1, of=call(consumer="uma")), alive=[(Source.METRIC, NOW)], requests=[request()])
    tables = [
        model._meta.db_table
        for model in (
            models.Environment,
            models.Instance,
            models.Endpoint,
            models.Endpoint.environments.through,
            models.Consumer,
            models.SourceQuarter,
        )
    ]

    def versions() -> list[object]:
        return [rows(f"SELECT ctid, xmin, xmax FROM {table}") for table in tables]  # noqa: S608  # our own names

    file(app, said)
    before = versions()
    file(app, said)
    assert versions() == before


def test_nothing_is_filed_of_nothing(alice: Tenant) -> None:
    assert file(new_app(alice)) == Counter()
    assert models.Environment.objects.count() == 0


# --- what an app has room for -------------------------------------------------------------------------------------
def test_one_environment_too_many_is_dropped_with_its_items(alice: Tenant, settings: Settings) -> None:
    settings.LIMITLY_APP_ENVIRONMENTS_MAX = 2
    app = new_app(alice)
    file(app, observed(traffic(1), environment="a"), observed(traffic(1), environment="b"))
    left_out = file(app, observed(traffic(1), traffic(2), requests=[request()], environment="c"))
    file(app, observed(traffic(1), environment="b"))
    assert left_out == {"environment_limit": 3}
    assert sorted(models.Environment.objects.values_list("name", flat=True)) == ["a", "b"]
    assert sum(amounts[0] for amounts in filed().values()) == 3


def test_endpoints_beyond_the_limit_count_under_one_path_each_method(alice: Tenant, settings: Settings) -> None:
    settings.LIMITLY_APP_ENDPOINTS_MAX = 2
    app = new_app(alice)
    beyond = [call(f"/{n}", "GET") for n in range(5)] + [call("/x", "BREW"), call("", "POST")]
    file(app, observed(traffic(1, of=call("/a")), traffic(1, of=call("/b"))))
    file(app, observed(*(traffic(1, of=of) for of in beyond)))
    counts = {(key[2], key[3]): amounts[0] for key, amounts in filed().items()}
    assert counts == {
        ("GET", "/a"): 1, ("GET", "/b"): 1, ("GET", "/{other}"): 5, ("_OTHER", "/{other}"): 1, ("POST", ""): 1,
    }  # fmt: skip


def test_consumers_beyond_the_limit_count_as_none(alice: Tenant, settings: Settings) -> None:
    settings.LIMITLY_APP_CONSUMERS_MAX = 2
    app = new_app(alice)
    counted = [traffic(1, of=call(consumer=name)) for name in ("uma", "ugo", "zoe", "zed")]
    file(app, observed(*counted, requests=[request(of=call(consumer="zoe"))]))
    counts = {key[5]: amounts[0] for key, amounts in filed().items()}
    assert counts == {"ugo": 1, "uma": 1, "": 2}
    assert models.RequestLog.objects.get().consumer_id is None


def test_a_path_that_no_index_takes_is_cut(alice: Tenant) -> None:
    long = "/" + "".join(chr(0x4E00 + (n * 7919) % 20_000) for n in range(1023))
    file(new_app(alice), observed(traffic(1, of=call(long)), traffic(2, of=call(long))))
    endpoint = models.Endpoint.objects.get()
    assert long.startswith(endpoint.path)
    assert len(endpoint.path.encode()) <= 2600
    assert models.TrafficMinute.objects.get().requests == 3


def test_old_and_new_times_are_filed_where_they_belong(alice: Tenant) -> None:
    app = new_app(alice)
    said = observed(traffic(1, at=NOW - 2 * DAY), traffic(2, at=datetime(2026, 6, 15, 23, 59, 59, 999_999, tzinfo=UTC)))
    file(app, said)
    quarters = [key[7] for key in filed()]
    assert sorted(quarters) == [QUARTER - 2 * DAY, datetime(2026, 6, 15, 23, 45, tzinfo=UTC)]
