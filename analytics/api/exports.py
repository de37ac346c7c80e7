"""The two exports of Apitally's API: what is asked is read, and its rows are streamed, a JSON object a line."""

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from django.conf import settings
from django.http import HttpResponseBase
from django.utils import timezone
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.api.streaming import stream
from analytics.api.errors import Unprocessable
from analytics.api.views import AnalyticsView, RequestLogList
from analytics.exports import metrics_export, request_export
from analytics.exports.metrics_export import Kept, read_metrics_export
from analytics.exports.parsing import BadExport, at, one_of
from analytics.exports.request_export import read_request_export
from analytics.exports.writing import Page, ndjson
from analytics.models import App

NOT_OFFERED = {"error": "The format arrow is not offered: ask for ndjson.", "code": "UNSUPPORTED_FORMAT"}


class Export(AnalyticsView):
    """What both exports share: the format, and how a fault in the body is answered."""

    def post(self, request: Request, app_id: int) -> HttpResponseBase:
        app, asked = self.app(app_id), request.data
        assert isinstance(asked, dict)  # the parser knows no other body
        if asked.get("format") == "arrow":
            return Response(NOT_OFFERED, status=400)
        try:
            with at("format"):
                one_of(asked.get("format", "ndjson"), ["ndjson"])
            pages = self.pages(app, asked, now=timezone.now())
        except BadExport as bad:
            raise Unprocessable(_nested(bad), place="body") from bad
        lines = (ndjson(page.rows) for page in pages)
        return stream(request._request, lines)  # noqa: SLF001  # DRF has no other way to it

    def pages(self, app: App, asked: Mapping[str, object], *, now: datetime) -> Iterator[Page]:
        """Errors: BadExport."""
        raise NotImplementedError


class RequestLogExport(Export):
    def pages(self, app: App, asked: Mapping[str, object], *, now: datetime) -> Iterator[Page]:
        return request_export.pages_of(read_request_export(asked, now=now), app)


class RequestLogs(RequestLogList, RequestLogExport):
    """GET lists them page by page, POST exports them."""


class OldRequestLogExport(RequestLogExport):
    """The same by its older name, which the OpenAPI document does not list."""


class MetricsExport(Export):
    def pages(self, app: App, asked: Mapping[str, object], *, now: datetime) -> Iterator[Page]:
        kept = Kept(settings.LIMITLY_TRAFFIC_MINUTE_DAYS, settings.LIMITLY_TRAFFIC_MONTHS)
        return metrics_export.pages_of(read_metrics_export(asked, now=now, kept=kept), app, now=now)


def _nested(bad: BadExport) -> dict[str, Any]:
    """As a serializer of nested fields would tell it."""
    *outer, last = bad.place
    detail: dict[str, Any] = {last: [bad.sentence]}
    for name in reversed(outer):
        detail = {name: detail}
    return detail
