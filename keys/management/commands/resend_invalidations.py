"""`resend_invalidations`: the task's twin, by hand."""

from typing import Any

from django.core.management.base import BaseCommand

from keys.invalidation import resend_invalidations


class Command(BaseCommand):
    help = "Makes validate forget what changes could not tell it while Redis was away."

    def handle(self, *_: Any, **__: Any) -> None:
        self.stdout.write(f"{resend_invalidations()} changes sent.")
