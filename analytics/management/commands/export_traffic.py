"""`export_traffic --app APP --since TIME`: traffic by hour or day of a time zone, for spreadsheets and pipes."""

from typing import Any

from django.conf import settings
from django.core.management.base import CommandParser
from django.utils import timezone

from analytics.exports.fields import METRIC_FIELDS
from analytics.exports.metrics_export import METRICS, Kept, pages_of, read_metrics_export
from analytics.management.arguments import find_app
from analytics.management.exporting import ExportCommand, asked_of, listed, refusals_explained, with_progress
from analytics.periods import Interval

ASKED = ("since", "until", "interval", "timezone", "metrics", "group_by", "filters")
USUAL = "requests,bytes_received,bytes_sent,client_errors,server_errors,response_time_p50,response_time_p95"


class Command(ExportCommand):
    help = "Exports what traffic adds up to in each period, as POST /v1/apps/ID/metrics does."
    usual_format = "csv"

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("--interval", choices=list(map(str, Interval)), default="hour", help="(default: hour)")
        parser.add_argument("--timezone", default="UTC", help="of IANA, for periods and times (default: UTC)")
        parser.add_argument("--metrics", default=USUAL, help=f"some of {','.join(METRICS)} (default: {USUAL})")
        parser.add_argument("--group-by", help=f"some of {','.join(METRIC_FIELDS)}")

    def handle(self, *_: Any, **options: Any) -> None:
        now, app = timezone.now(), find_app(options["app"])
        names = {name: listed(options[name]) for name in ("metrics", "group_by")}
        kept = Kept(settings.LIMITLY_TRAFFIC_MINUTE_DAYS, settings.LIMITLY_TRAFFIC_MONTHS)
        with refusals_explained():
            export = read_metrics_export(asked_of(options | names, now=now, names=ASKED), now=now, kept=kept)
        pages = with_progress(pages_of(export, app, now=now), since=export.since, until=export.until)
        self.write(pages, ["period_start", "period_end", *export.group_by, *export.metrics], options)
