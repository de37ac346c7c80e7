"""`export_request_logs --app APP --since TIME`: single requests, to a file or to whatever comes behind the pipe."""

from typing import Any

from django.core.management.base import CommandParser
from django.utils import timezone

from analytics.exports.fields import REQUEST_FIELDS
from analytics.exports.request_export import pages_of, read_request_export
from analytics.management.arguments import find_app
from analytics.management.exporting import ExportCommand, asked_of, listed, refusals_explained, with_progress

ASKED = ("since", "until", "fields", "filters", "sample", "limit")


class Command(ExportCommand):
    help = "Exports request logs, ascending by time, as POST /v1/apps/ID/request-logs does."
    usual_format = "ndjson"

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("--fields", help=f"some of {','.join(REQUEST_FIELDS)}")
        parser.add_argument("--sample", type=rows_or_share, help="about how many rows (1000), or which share (0.1)")
        parser.add_argument("--limit", type=int, help="at most so many rows")

    def handle(self, *_: Any, **options: Any) -> None:
        now, app = timezone.now(), find_app(options["app"])
        asked = asked_of(options | {"fields": listed(options["fields"])}, now=now, names=ASKED)
        with refusals_explained():
            export = read_request_export(asked, now=now)
        pages = with_progress(pages_of(export, app), since=export.since, until=export.until)
        self.write(pages, [field.name for field in export.fields], options)


def rows_or_share(text: str) -> int | float:
    return int(text) if text.isdecimal() else float(text)
