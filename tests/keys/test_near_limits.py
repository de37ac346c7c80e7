"""Who is near a limit, or over it: looked through once a minute, exact as of that moment."""

from datetime import UTC, datetime, timedelta
from typing import Any

from django.core.management import call_command

from accounts.models import User
from keys.ledger import limits
from keys.models import LimitWatch, NearLimit, UsageWindow
from keys.overview import near_limits
from plans.windows import Period, Window, window_at
from tests.cast import Tenant

NOW = datetime(2026, 6, 17, 12, 30, tzinfo=UTC)
JUNE = Window(datetime(2026, 6, 1, tzinfo=UTC), datetime(2026, 7, 1, tzinfo=UTC))


def _spend(tenant: Tenant, kind: str, subject_id: int, units: int, *, window: Window = JUNE, **more: Any) -> None:
    usual = {"key_id": 1, "units_allowed": units}
    UsageWindow.objects.create(
        account_id=tenant.account.pk,
        subject_kind=kind,
        subject_id=subject_id,
        start=window.start,
        end=window.end,
        **usual | more,
    )


def _found() -> list[tuple[str, int, int, int, int]]:
    rows = NearLimit.objects.order_by("-percent")
    return list(rows.values_list("subject_kind", "subject_id", "used", "limit", "percent"))


def test_nine_tenths_are_near_and_less_is_not(alice: Tenant) -> None:
    plan = alice.plan(1_000)
    near, far = alice.user(plan), alice.user(plan)
    _spend(alice, "u", near.pk, 900)
    _spend(alice, "u", far.pk, 899)
    assert limits.watch_limits(NOW) == 1
    assert _found() == [("u", near.pk, 900, 1_000, 90)]


def test_a_subject_spends_by_all_its_keys_and_what_was_adjusted_counts(alice: Tenant) -> None:
    plan = alice.plan(100)
    both, granted = alice.user(plan), alice.user(plan)
    _spend(alice, "u", both.pk, 60, key_id=1)
    _spend(alice, "u", both.pk, 40, key_id=2)
    _spend(alice, "u", granted.pk, 100, units_adjusted=-50)
    limits.watch_limits(NOW)
    assert _found() == [("u", both.pk, 100, 100, 100)]


def test_a_key_with_a_plan_of_its_own_is_looked_at_too(alice: Tenant) -> None:
    api_key = alice.key(plan=alice.plan(10)).api_key
    _spend(alice, "k", api_key.pk, 9)
    limits.watch_limits(NOW)
    assert _found() == [("k", api_key.pk, 9, 10, 90)]


def test_a_window_of_a_former_plan_decides_nothing(alice: Tenant) -> None:
    user = alice.user(alice.plan(10, "day"))
    _spend(alice, "u", user.pk, 10)  # June's, of the monthly plan that it had
    assert limits.watch_limits(NOW) == 0


def test_windows_from_an_anchor_are_the_users_own(alice: Tenant) -> None:
    anchor = datetime(2026, 1, 15, 9, tzinfo=UTC)
    user = alice.user(alice.plan(10), custom_start=anchor)
    _spend(alice, "u", user.pk, 10, window=window_at(NOW, period=Period.MONTH, anchor=anchor))
    _spend(alice, "u", user.pk, 10)
    limits.watch_limits(NOW)
    assert [row.window_end for row in NearLimit.objects.all()] == [datetime(2026, 7, 15, 9, tzinfo=UTC)]


def test_the_deleted_and_the_unlimited_and_what_is_over_are_left_out(alice: Tenant) -> None:
    gone, unlimited, past = alice.user(alice.plan(10)), alice.user(alice.plan(-1)), alice.user(alice.plan(10))
    User.objects.filter(pk=gone.pk).update(deleted_at=NOW)
    _spend(alice, "u", gone.pk, 10)
    _spend(alice, "u", unlimited.pk, 10)
    _spend(alice, "u", past.pk, 10, window=Window(JUNE.start - timedelta(days=31), JUNE.start))
    assert limits.watch_limits(NOW) == 0


def test_a_look_replaces_the_one_before_and_counts_beyond_what_it_keeps(alice: Tenant, monkeypatch: Any) -> None:
    monkeypatch.setattr(limits, "KEPT", 2)
    plan = alice.plan(100)
    for used in (90, 95, 100, 130):
        _spend(alice, "u", alice.user(plan).pk, used)
    for _ in range(2):
        limits.watch_limits(NOW)
    watch = LimitWatch.objects.get()
    assert [percent for *_, percent in _found()] == [130, 100]
    assert (watch.near, watch.over, watch.looked_at) == (4, 2, NOW)


def test_those_with_an_anchor_and_those_without_are_ranked_together(alice: Tenant, monkeypatch: Any) -> None:
    monkeypatch.setattr(limits, "KEPT", 3)
    plan, anchor = alice.plan(100), datetime(2026, 1, 15, 9, tzinfo=UTC)
    own = window_at(NOW, period=Period.MONTH, anchor=anchor)
    for used in (91, 93, 100):
        _spend(alice, "u", alice.user(plan).pk, used)
        _spend(alice, "u", alice.user(plan, custom_start=anchor).pk, used + 1, window=own)
    assert limits.watch_limits(NOW) == 6
    assert [percent for *_, percent in _found()] == [101, 100, 94]
    watch = LimitWatch.objects.get()
    assert (watch.near, watch.over) == (6, 2)


def test_who_follows_the_calendar_is_counted_by_the_database(alice: Tenant, monkeypatch: Any) -> None:
    """However many are near their limit, a look answers those that it keeps, and reckons one window a period."""
    monkeypatch.setattr(limits, "KEPT", 2)
    reckoned: list[Window] = []

    def reckon(now: datetime, **given: Any) -> Window:
        reckoned.append(window_at(now, **given))
        return reckoned[-1]

    monkeypatch.setattr(limits, "window_at", reckon)
    for period in Period:
        plan, window = alice.plan(10, period), window_at(NOW, period=period)
        for _ in range(3):
            _spend(alice, "u", alice.user(plan).pk, 9, window=window)
    assert len(limits._candidates(alice.account.pk, NOW)) == 2
    reckoned.clear()
    assert limits.watch_limits(NOW) == 12
    assert len(reckoned) == len(Period)


def test_what_was_found_is_shown_of_one_account_or_all(alice: Tenant, bob: Tenant) -> None:
    for tenant, used in ((alice, 95), (bob, 100)):
        _spend(tenant, "u", tenant.user(tenant.plan(100)).pk, used)
    limits.look_through(alice.account.pk, now=NOW - timedelta(seconds=5))
    limits.look_through(bob.account.pk, now=NOW)
    of_all, of_alice = near_limits(account_id=None), near_limits(account_id=alice.account.pk)
    assert (of_all.near, of_all.over, of_all.true_until) == (2, 1, NOW - timedelta(seconds=5))
    assert [one.row.percent for one in of_all.first] == [100, 95]
    assert [one.user.account for one in of_alice.first if one.user] == [alice.account]
    assert (of_alice.near, of_alice.over) == (1, 0)


def test_the_command_says_how_many(alice: Tenant, capsys: Any) -> None:
    call_command("watch_limits")
    assert capsys.readouterr().out == "0 are near their limit, or over it.\n"
