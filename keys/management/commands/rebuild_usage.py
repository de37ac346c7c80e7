"""`rebuild_usage`: windows and hours reckoned anew from the kept decisions."""

import sys
from typing import Any

import click
from django.core.management.base import BaseCommand

from keys.ledger.rebuilding import Rebuilt, all_buckets, rebuild_bucket


class Command(BaseCommand):
    help = "Reckons usage windows and hours anew from the kept decisions; older ones are left as they are, and counted."

    def handle(self, *_: Any, **__: Any) -> None:
        total = Rebuilt()
        with click.progressbar(list(all_buckets()), label="buckets", file=sys.stderr) as buckets:
            for bucket in buckets:
                done = rebuild_bucket(bucket)
                total.rebuilt += done.rebuilt
                total.left += done.left
        self.stdout.write(
            f"{total.rebuilt} windows and hours rebuilt, {total.left} left: their decisions are no longer kept."
        )
