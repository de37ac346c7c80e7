"""From the inbox to the tables, exactly once: sent again, refused, failing, beside good ones, by limits of a claim."""

from collections import Counter
from collections.abc import Sequence
from datetime import datetime

import psycopg
import pytest
from django.conf import LazySettings
from django.db import OperationalError, connection, transaction

from analytics import models
from analytics.models import InboxReport, RejectedReport, ReportKind
from analytics.observations import BadReport, Observed, Parsed, Report
from analytics.rollup import inbox, ingesting, locking
from analytics.rollup.filing import file_each
from analytics.rollup.inbox import TakenByAnother
from tests.analytics.reporting import (
    HOUR,
    NOW,
    body,
    call,
    filed,
    ingest,
    new_app,
    observed,
    parse,
    receive,
    request,
    rows,
    told,
    traffic,
)
from tests.cast import Tenant

BAD, CRASH = b"bad", b"crash"


def fussy(report: Report) -> Parsed:
    """Refuses one body, and fails at another."""
    if report.body == BAD:
        raise BadReport("not_json", "Expecting value")
    if report.body == CRASH:
        raise RecursionError("too deep")
    return parse(report)


# --- sent again ---------------------------------------------------------------------------------------------------
def test_a_report_that_comes_again_changes_no_number(alice: Tenant) -> None:
    app = new_app(alice)
    said = observed(traffic(3), requests=[request()])
    receive(app, *[body(said)] * 5)
    assert ingest() == 5
    receive(app, *[body(said)] * 5)
    assert ingest() == 5
    assert filed() == told(app, [said])
    assert InboxReport.objects.count() == 0
    assert models.ReportIdentity.objects.count() == 1


def test_the_same_report_of_two_apps_is_two(alice: Tenant, bob: Tenant) -> None:
    apps = [new_app(alice), new_app(alice, "Other"), new_app(bob)]
    for app in apps:
        receive(app, body(observed(traffic(3))))
    assert ingest() == 3
    assert [amounts[0] for amounts in filed().values()] == [3, 3, 3]


def test_what_was_left_out_is_counted_once_by_reason_and_hour_of_receipt(alice: Tenant) -> None:
    app = new_app(alice)
    cut = body(observed(traffic(1)), dropped={"too_old": 2, "nan": 1})
    receive(app, cut, cut)
    receive(app, body(observed(traffic(2**40)), dropped={"too_old": 3}), kind=ReportKind.METRICS)
    receive(app, body(observed(traffic(1)), nonce=1, dropped={"nan": 5}), received_at=NOW - HOUR)
    ingest()
    hour = NOW.replace(minute=0, second=0)
    counted = models.DroppedItems.objects.values_list("kind", "reason", "hour", "items")
    assert set(counted) == {
        (ReportKind.SYNC, "too_old", hour, 2), (ReportKind.SYNC, "nan", hour, 1),
        (ReportKind.METRICS, "too_old", hour, 3), (ReportKind.METRICS, "too_many", hour, 1),
        (ReportKind.SYNC, "nan", hour - HOUR, 5),
    }  # fmt: skip


def test_what_names_no_environment_is_filed_in_the_reports_own(alice: Tenant) -> None:
    app = new_app(alice)
    receive(app, body(observed(traffic(1), environment="")), environment="Staging EU")
    receive(app, body(observed(traffic(1), environment="", instance="two")), environment="")
    ingest()
    assert sorted(key[1] for key in filed()) == ["prod", "staging-eu"]


# --- reports that cannot be used ----------------------------------------------------------------------------------
def test_a_bad_report_is_kept_with_its_reason_and_the_others_count(alice: Tenant) -> None:
    app = new_app(alice)
    said = [observed(traffic(number), instance=str(number)) for number in range(3)]
    receive(app, body(said[0]), BAD, body(said[1]), b"\x1f\x8bnot gzip", body(said[2]))
    assert ingest(parse=fussy) == 5
    assert filed() == told(app, said)
    rejected = RejectedReport.objects.order_by("reason").values_list(
        "reason", "explanation", "size_bytes", "environment"
    )
    assert rejected[1] == ("not_json", "Expecting value", 3, "prod")
    assert rejected[0][0] == "bad_gzip"
    assert models.ReportIdentity.objects.count() == 3


def test_a_report_of_one_environment_too_many_is_rejected_with_that_reason(
    alice: Tenant, settings: LazySettings
) -> None:
    """What is of an environment that the app has counts, also of the same report: then the rest is a dropped item."""
    settings.LIMITLY_APP_ENVIRONMENTS_MAX = 1
    app = new_app(alice)
    home, away = observed(traffic(1)), observed(traffic(2), traffic(3), environment="staging")
    both = observed(traffic(4), environment="prod"), observed(traffic(5), environment="qa")
    receive(app, body(home))
    ingest()
    receive(app, body(away, dropped={"nan": 2}), body(*both))
    assert ingest() == 2
    rejected = RejectedReport.objects.get()
    assert rejected.reason == "environment_limit"
    assert rejected.explanation == (
        "The app holds 1 environments (LIMITLY_APP_ENVIRONMENTS_MAX) and has no room for 'staging'."
    )
    assert bytes(rejected.body) == body(away, dropped={"nan": 2})
    assert list(models.DroppedItems.objects.values_list("reason", "items")) == [("environment_limit", 1)]
    assert filed() == told(app, [home, both[0]])
    assert list(models.Environment.objects.values_list("name", flat=True)) == ["prod"]


def test_of_a_large_report_its_beginning_is_kept(alice: Tenant) -> None:
    receive(new_app(alice), b"x" * 100_000)

    def refuse(report: Report) -> Parsed:
        raise BadReport("odd", "\0" + "y" * 2000)

    ingest(parse=refuse)
    kept = RejectedReport.objects.get()
    assert (bytes(kept.body), kept.size_bytes) == (b"x" * 65_536, 100_000)
    assert kept.explanation == "\ufffd" + "y" * 999


def test_of_an_app_the_newest_thousand_rejections_are_kept(alice: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inbox, "REJECTED_KEPT", 3)
    ours, theirs = new_app(alice), new_app(alice, "Other")
    receive(theirs, BAD)
    ingest(parse=fussy)
    for hour in range(5):
        receive(ours, BAD, received_at=NOW + hour * HOUR)
        ingest(parse=fussy)
    kept = RejectedReport.objects.filter(app=ours).order_by("pk").values_list("received_at", flat=True)
    assert list(kept) == [NOW + hour * HOUR for hour in (2, 3, 4)]
    assert RejectedReport.objects.filter(app=theirs).count() == 1


# --- failures -----------------------------------------------------------------------------------------------------
def test_a_report_that_fails_three_times_is_rejected_and_delays_no_other(alice: Tenant) -> None:
    app = new_app(alice)
    said = [observed(traffic(number), instance=str(number)) for number in range(3)]
    crash, *_ = receive(app, CRASH, *map(body, said))
    for attempt, done in ((1, 3), (2, 0), (3, 0)):
        assert ingest(parse=fussy, for_s=0) == done
        assert InboxReport.objects.get().attempts == attempt
        assert filed() == told(app, said)
    assert ingest(parse=fussy, for_s=0) == 1
    rejected = RejectedReport.objects.get()
    assert (rejected.reason, bytes(rejected.body), rejected.received_at) == ("failed", CRASH, crash.received_at)
    assert InboxReport.objects.count() == 0


def test_what_the_database_refuses_takes_no_good_report_with_it(
    alice: Tenant, caplog: pytest.LogCaptureFixture
) -> None:
    app = new_app(alice)
    good = [observed(traffic(number), instance=str(number)) for number in range(4)]
    poison = observed(traffic(1), requests=[request(of=call(status=5000))])
    receive(app, body(good[0]), body(poison), *map(body, good[1:]))
    assert ingest() == 5
    assert filed() == told(app, good)
    assert RejectedReport.objects.get().reason == "failed"
    assert models.ReportIdentity.objects.count() == 4


def test_what_was_attempted_before_is_tried_alone(alice: Tenant) -> None:
    app = new_app(alice)
    receive(app, *(body(observed(traffic(1)), nonce=nonce) for nonce in range(3)))
    InboxReport.objects.order_by("pk").filter(pk__lt=InboxReport.objects.latest("pk").pk).update(attempts=1)
    assert [len(inbox.claim(app.pk)) for _ in range(2)] == [1, 1]
    first, *_ = InboxReport.objects.order_by("pk")
    first.delete()
    assert ingest() == 2
    assert filed() != {}


def test_a_failure_of_the_database_is_no_attempt(alice: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    app = new_app(alice)
    receive(app, body(observed(traffic(1))), body(observed(traffic(2))))

    def break_down(*_: object, **__: object) -> None:
        raise OperationalError from psycopg.errors.DiskFull

    with monkeypatch.context() as broken:
        broken.setattr(ingesting, "file_each", break_down)
        for _ in range(5):
            with pytest.raises(OperationalError):
                ingest()
    assert set(InboxReport.objects.values_list("attempts", flat=True)) == {0}
    assert ingest() == 2


def test_a_server_that_ends_our_connection_is_no_attempt_either(alice: Tenant) -> None:
    app = new_app(alice)
    receive(app, body(observed(traffic(1))))

    def lose_connection(report: Report) -> Parsed:
        with psycopg.connect(**connection.get_connection_params()) as other:
            other.execute("SELECT pg_terminate_backend(%s)", [connection.connection.info.backend_pid])
        return parse(report)

    with pytest.raises(OperationalError):
        ingest(parse=lose_connection)
    assert InboxReport.objects.get().attempts == 0
    assert ingest() == 1
    assert [amounts[0] for amounts in filed().values()] == [1]


def test_who_finds_its_reports_taken_files_nothing(alice: Tenant, caplog: pytest.LogCaptureFixture) -> None:
    app = new_app(alice)
    receive(app, body(observed(traffic(1))))

    def take(report: Report) -> Parsed:
        InboxReport.objects.all().delete()
        return parse(report)

    assert ingest(parse=take) == 0
    assert TakenByAnother.__name__ in caplog.text
    assert filed() == {}
    assert models.ReportIdentity.objects.count() == 0


# --- what is claimed ----------------------------------------------------------------------------------------------
def test_a_claim_is_bounded_by_number_and_by_bytes(alice: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    app = new_app(alice)
    receive(app, *[b"x" * 1000] * 5)
    monkeypatch.setattr(inbox, "CLAIM_REPORTS", 4)
    assert len(inbox.claim(app.pk)) == 4
    InboxReport.objects.update(attempts=0)
    monkeypatch.setattr(inbox, "CLAIM_BYTES", 2500)
    assert len(inbox.claim(app.pk)) == 2
    InboxReport.objects.update(attempts=0)
    monkeypatch.setattr(inbox, "CLAIM_BYTES", 10)
    assert len(inbox.claim(app.pk)) == 1


def test_a_batch_is_bounded_by_what_its_reports_are_when_decoded(
    alice: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = new_app(alice)
    bodies = [body(observed(traffic(1)), nonce=nonce) for nonce in range(5)]
    receive(app, *bodies)
    monkeypatch.setattr(ingesting, "BATCH_BYTES", 2 * max(map(len, bodies)))
    sizes: list[int] = []

    def note(app: models.App, said: Sequence[Observed], *, now: datetime) -> list[Counter[str]]:
        sizes.append(len(said))
        return file_each(app, said, now=now)

    monkeypatch.setattr(ingesting, "file_each", note)
    assert ingest() == 5
    assert sizes == [2, 2, 1]


def test_apps_take_turns_the_longest_waiting_first(alice: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inbox, "CLAIM_REPORTS", 2)
    first, second, third = (new_app(alice, name) for name in ("A", "B", "C"))
    receive(third, *(body(observed(traffic(1)), nonce=nonce) for nonce in range(4)))
    receive(first, body(observed(traffic(1))))
    receive(second, body(observed(traffic(1))))
    seen: list[int] = []

    def note(report: Report) -> Parsed:
        seen.append(report.app_id)
        return parse(report)

    assert ingest(parse=note) == 6
    assert seen == [third.pk, third.pk, first.pk, second.pk, third.pk, third.pk]


def test_an_app_that_another_worker_is_at_is_left_to_it(alice: Tenant) -> None:
    ours, theirs = new_app(alice), new_app(alice, "Other")
    for app in (ours, theirs):
        receive(app, body(observed(traffic(1))))
    with psycopg.connect(**connection.get_connection_params()) as other:
        other.execute("SELECT pg_advisory_lock(%s, %s)", [locking.CLAIMING, ours.pk])
        assert ingest() == 1
        other.execute("SELECT pg_advisory_unlock_all()")  # a connection that ends lets go some time later
    assert list(InboxReport.objects.values_list("app_id", "attempts")) == [(ours.pk, 0)]
    assert ingest() == 1


def test_when_the_time_is_up_the_rest_waits(alice: Tenant) -> None:
    for name in ("A", "B"):
        receive(new_app(alice, name), body(observed(traffic(1))))
    assert ingest(for_s=0) == 1
    assert ingest(for_s=0) == 1
    assert ingest(for_s=0) == 0


def test_the_query_for_waiting_apps_reads_an_index_alone(alice: Tenant) -> None:
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off")
        plan = "\n".join(line for (line,) in rows(f"EXPLAIN {inbox.WAITING}"))
    assert plan.count("Index Only Scan using inbox_of_app") + plan.count("Index Scan using inbox_of_app") == 2
