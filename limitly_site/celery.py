"""The Celery application, and a beat that does not pile up ticks while no worker takes them."""

import os
from typing import Any

from celery import Celery
from celery.beat import PersistentScheduler, ScheduleEntry
from celery.signals import beat_init, worker_init, worker_process_init

from limitly_site.holding import hold_embedded_stores
from limitly_site.tether import tether_to_parent

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "limitly_site.settings")

app = Celery("limitly")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()

QUEUE_MAX = 10


@worker_init.connect
@beat_init.connect
def _hold_stores(**_: object) -> None:
    hold_embedded_stores().__enter__()  # until the process ends


@worker_process_init.connect
def _end_with_the_worker(**_: object) -> None:
    tether_to_parent()


class PatientScheduler(PersistentScheduler):
    """Sends no tick to a queue that already holds QUEUE_MAX: a worker that comes back finds work, not a backlog."""

    def apply_async(self, entry: ScheduleEntry, producer: Any = None, advance: bool = True, **options: Any) -> Any:
        if self._is_full(self._queue_of(entry)):
            return self.reserve(entry) if advance else None
        return super().apply_async(entry, producer=producer, advance=advance, **options)

    def _queue_of(self, entry: ScheduleEntry) -> str:
        route = app.conf.task_routes.get(entry.task, {})
        return str(route.get("queue", app.conf.task_default_queue))

    def _is_full(self, queue: str) -> bool:
        with app.connection_for_write() as connection:
            length: int = connection.default_channel.client.llen(queue)  # type: ignore[attr-defined]  # kombu's Redis channel
        return length > QUEUE_MAX
