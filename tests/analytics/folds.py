"""What tests of the fold share: decisions at chosen times, and all that analytics tells of an account."""

from collections import Counter
from datetime import datetime

from django.utils import timezone

from accounts.models import Account
from analytics.models import App, Consumer, Endpoint, Environment, FoldPosition, RequestLog, TrafficMinute
from analytics.rollup.folding import BATCH, fold_decisions
from keys.events import to_ms
from keys.ledger.drain import drain_all
from keys.models import StreamPosition
from tests.cast import Tenant
from tests.keys.test_drain import append
from tests.store_redis import StoreRedis

Told = tuple[str, str, str, int, str]


def decide(stores: StoreRedis, tenant: Tenant, at: datetime, seq: int = 0, **other: object) -> None:
    """As decide.lua would log it then; in the order of time."""
    append(stores, tenant, f"{to_ms(at)}-{seq}", **({"access_key_id": tenant.access_key.pk} | other))


def fold_all(*, batch: int = BATCH) -> int:
    """Drains and folds; how many decisions were folded."""
    drain_all(for_s=10)
    return fold_decisions(for_s=10, now=timezone.now(), batch=batch)


def request_logs(account: Account) -> Counter[Told]:
    """App and environment, method and path, status, consumer: how many request logs tell it."""
    return Counter(
        _told(log.environment_id, log.endpoint_id, log.status_code, log.consumer_id or 0)
        for log in RequestLog.objects.filter(app_id__in=_app_ids(account))
    )


def traffic(account: Account) -> Counter[Told]:
    """The same of what was counted."""
    found: Counter[Told] = Counter()
    for row in TrafficMinute.objects.filter(app_id__in=_app_ids(account)):
        found[_told(row.environment_id, row.endpoint_id, row.status_code, row.consumer_id)] += row.requests
    return found


def is_folded() -> bool:
    """Whether every position is where the ledger's is."""
    filed = {(row.bucket, row.last_id) for row in StreamPosition.objects.all()}
    return filed == {(row.bucket, f"{row.ms}-{row.seq}") for row in FoldPosition.objects.all()}


def _app_ids(account: Account) -> list[int]:
    return list(App.objects.filter(account=account).values_list("pk", flat=True))


def _told(environment_id: int, endpoint_id: int, status_code: int, consumer_id: int) -> Told:
    environment = Environment.objects.select_related("app").get(pk=environment_id)
    endpoint = Endpoint.objects.get(pk=endpoint_id)
    consumer = Consumer.objects.filter(pk=consumer_id).first()
    return (
        f"{environment.app.name}/{environment.name}",
        endpoint.method,
        endpoint.path,
        status_code,
        consumer.identifier if consumer else "",
    )
