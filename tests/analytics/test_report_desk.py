"""Staff's pages of reports, and the commands and tasks that count, rebuild and prune."""

from django.conf import settings
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from analytics.models import DroppedItems, InboxReport, Instance, RejectedReport, ReportKind
from analytics.partitions import ALL
from analytics.rollup.unused import dropped_items, rejected_reports
from limitly_site.celery import app as celery
from limitly_site.supervisor import services
from tests.analytics.reporting import HOUR, body, ingest, new_app, observed, receive, traffic
from tests.cast import Tenant
from tests.keys.test_commands import run
from tests.queries import counting_queries


def _pages(model: str, pk: int) -> list[str]:
    return [reverse(f"admin:analytics_{model}_changelist"), reverse(f"admin:analytics_{model}_change", args=[pk])]


def test_the_inbox_is_shown_without_bodies(desk: Client, alice: Tenant) -> None:
    (report,) = receive(new_app(alice), b"a secret body")
    for page in _pages("inboxreport", report.pk):
        with counting_queries() as queries:
            answer = desk.get(page)
        assert answer.status_code == 200
        assert b"hub sync" in answer.content
        assert b"secret body" not in answer.content
        assert not [query for query in queries if '"analytics_inboxreport"."body"' in query]


def test_rejections_are_shown_with_their_reason_and_beginning(desk: Client, alice: Tenant) -> None:
    receive(new_app(alice), b"\x1f\x8bbroken<script>")
    ingest()
    listing, page = (desk.get(url).content for url in _pages("rejectedreport", RejectedReport.objects.get().pk))
    assert b"bad_gzip" in listing
    assert b"bad_gzip" in page
    assert b"broken&lt;script&gt;" in page


def test_dropped_items_and_instances_are_shown(desk: Client, alice: Tenant) -> None:
    app = new_app(alice)
    receive(app, body(observed(traffic(1), client="flask"), dropped={"too_old": 7}))
    ingest()
    for model, row, word in (
        ("droppeditems", DroppedItems.objects.get(), b"too_old"),
        ("instance", Instance.objects.get(), b"flask"),
    ):
        assert all(word in desk.get(url).content for url in _pages(model, row.pk))


def test_nobody_changes_what_was_told(desk: Client, alice: Tenant) -> None:
    (report,) = receive(new_app(alice), b"body")
    assert desk.post(_pages("inboxreport", report.pk)[1], {"kind": ReportKind.LOG}).status_code == 403
    assert desk.post(reverse("admin:analytics_inboxreport_delete", args=[report.pk])).status_code == 403


# --- what was not used -----------------------------------------------------------------------------------------------
def test_what_was_not_used_is_counted_by_reason(desk: Client, alice: Tenant) -> None:
    app = new_app(alice)
    now = timezone.now()
    receive(app, b"\x1f\x8b1", b"\x1f\x8b2", body(observed(traffic(1)), dropped={"nan": 2}), received_at=now)
    receive(app, body(observed(traffic(2)), dropped={"nan": 3, "too_old": 1}), received_at=now - HOUR)
    ingest()
    assert rejected_reports(now) == {"bad_gzip": 2}
    assert dropped_items(now) == {"nan": 5, "too_old": 1}
    assert "5 × nan, 1 × too_old" in desk.get(reverse("admin:analytics_droppeditems_changelist")).content.decode()


# --- commands and tasks -------------------------------------------------------------------------------------------
def test_the_commands_say_what_they_did(alice: Tenant) -> None:
    receive(new_app(alice), b"\x1f\x8bbroken")
    assert run("ingest_reports") == "1 reports left the inbox.\n"
    assert run("rebuild_traffic") == "0 rows of quarter hours rebuilt.\n"
    assert run("prune_analytics").startswith("0 partitions dropped.\n")
    assert InboxReport.objects.count() == 0


def test_partitions_of_what_is_observed_are_made_ahead(stores: object) -> None:
    run("make_partitions")
    now = timezone.now()
    assert [partitions.lacking(now, now + 7 * 24 * HOUR) for partitions in ALL] == [set()] * len(ALL)


def test_every_tick_is_a_task_and_its_queue_has_a_worker() -> None:
    celery.loader.import_default_modules()
    ticks = {entry["task"] for entry in settings.CELERY_BEAT_SCHEDULE.values()}
    commands = [each.command for each in services("::1", 1, web_processes=1, workers=1, report_workers=1)]
    listened = {queue for command in commands for queue in _queues(command)}
    assert ticks <= set(celery.tasks)
    assert {route["queue"] for route in settings.CELERY_TASK_ROUTES.values()} <= listened


def test_the_ledger_waits_for_nothing_that_is_observed_and_folds_for_no_report() -> None:
    """Whoever drains listens to no queue of reports; and a queue of its own gives the fold every other turn."""
    commands = [each.command for each in services("::1", 1, web_processes=1, workers=1, report_workers=1)]
    assert [_queues(command) for command in commands if _queues(command)] == [
        ["ledger", "celery"],
        ["reports", "folding"],
    ]
    queues = {task: route["queue"] for task, route in settings.CELERY_TASK_ROUTES.items()}
    assert queues["analytics.tasks.fold_decisions"] != queues["analytics.tasks.ingest_reports"]


def _queues(command: tuple[str, ...]) -> list[str]:
    return command[command.index("--queues") + 1].split(",") if "--queues" in command else []
