"""What is simulated is whole: keys work, windows count, decisions are found, and the tables agree with each other."""

import hashlib
import io
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.test import Client
from django.urls import reverse

from accounts.models import AuditEntry, User
from keys.events import decision_id, stream_id_of, to_ms
from keys.models import ApiKey, ApiKeySecret, Decision, UsageWindow
from plans.models import Subscription
from tests.cast import Tenant
from tests.conftest import ApiClient


def _simulate(**given: Any) -> str:
    out = io.StringIO()
    call_command("simulate_installation", accounts=3, users=20, keys=100, **given, stdout=out)
    return out.getvalue()


def test_every_user_has_a_plan_of_its_account_and_keys(stores: object) -> None:
    assert "3 accounts, 20 users and 100 keys" in _simulate(months=2)
    first = User.objects.order_by("account_id").values_list("account_id", flat=True)[0]
    assert (User.objects.count(), User.objects.filter(account_id=first).count() >= 10) == (20, True)
    assert [each.plan.account_id == each.user.account_id for each in _subscriptions()] == [True] * 20
    assert (ApiKey.objects.count(), ApiKeySecret.objects.count(), UsageWindow.objects.count()) == (100, 100, 200)
    assert all(key.user is not None and key.user.account_id == key.account_id for key in _keys())


def test_secrets_follow_from_the_seed_and_work(api: ApiClient, alice: Tenant) -> None:
    _simulate(seed="a seed")
    key = ApiKey.objects.select_related("account").filter(status="active", expires_at=None).latest("id")
    secret = "lk_user_" + hashlib.md5(f"a seed {key.pk}".encode()).hexdigest()  # noqa: S324  # as PostgreSQL has it
    (kept,) = key.secrets.all()
    assert (kept.prefix, kept.last4, bytes(kept.digest)) == (
        secret[:12], secret[-4:], hashlib.sha256(secret.encode()).digest(),
    )  # fmt: skip


def test_simulated_decisions_have_the_ids_of_real_ones(desk: Client) -> None:
    _simulate(decisions=70, decision_days=7)
    decisions = list(Decision.objects.all())
    bucket = ApiKey.objects.select_related("account").get(pk=decisions[0].api_key_id).account.bucket
    assert len(decisions) == 70
    for decision in decisions:
        place = stream_id_of(decision.pk)
        assert decision_id(bucket, place) == decision.pk  # type: ignore[arg-type]
        assert to_ms(decision.at) == place.ms
    page = desk.get(reverse("admin:keys_decision_change", args=[decisions[3].pk]))
    assert page.status_code == 200


def test_changes_are_written_in_any_number(stores: object) -> None:
    _simulate(changes=150)
    assert AuditEntry.objects.filter(row_name__startswith="row ").count() == 150


@pytest.mark.parametrize("wrong", [{"accounts": 0}, {"users": -1}, {"decision_days": 31}])
def test_numbers_that_make_no_sense_are_refused(stores: object, wrong: dict[str, int]) -> None:
    with pytest.raises(CommandError, match="Give"):
        call_command("simulate_installation", **wrong)
    assert not User.objects.exists()


def _subscriptions() -> list[Any]:
    return list(Subscription.objects.select_related("user", "plan"))


def _keys() -> list[ApiKey]:
    return list(ApiKey.objects.select_related("user"))
