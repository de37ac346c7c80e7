"""One request as staff see it: what was captured, what was logged meanwhile, where its time went, and whose it was."""

import json
from typing import Any
from uuid import UUID

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse

from accounts.admin import VEIL
from accounts.roles import SEE_PERSONAL_DATA
from analytics.desk.requests import SEE_REQUESTS
from analytics.exploring import with_decisions
from analytics.models import App, Endpoint
from analytics.request_details import RequestDetails, details_of
from analytics.waterfall import WIDTH, waterfall

# A page of more rows than this is no help to anybody.
SPANS_MAX = LINES_MAX = 500


def request_page(request: HttpRequest, app_id: int, uuid: UUID) -> HttpResponse:
    if not request.user.has_perm(SEE_REQUESTS):
        raise PermissionDenied
    app = get_object_or_404(App.objects.select_related("account"), pk=app_id)
    details = details_of(app, uuid)
    if details is None:
        raise Http404("This app has no such request, or it is kept no more.")
    logged = details.request
    ((_, decision),) = with_decisions(app.account, [logged])
    context = {
        **admin.site.each_context(request),
        "title": f"{logged.method} {logged.path or '(no route)'}".strip(),
        "app": app,
        "request_log": logged,
        "endpoint": Endpoint.objects.filter(app=app, method=logged.method, path=logged.path or "").first(),
        "decision": decision,
        "details": details,
        "sees_people": request.user.has_perm(SEE_PERSONAL_DATA),
        "veil": VEIL,
        **_shown(details),
    }
    return TemplateResponse(request, "desk/request.html", context)


def _shown(details: RequestDetails) -> dict[str, Any]:
    return {
        "bars": waterfall(details.spans[:SPANS_MAX]),
        "width": int(WIDTH),
        "spans_left_out": max(0, len(details.spans) - SPANS_MAX),
        "lines": details.lines[:LINES_MAX],
        "lines_left_out": max(0, len(details.lines) - LINES_MAX),
        "captured": [
            ("Request", details.request_headers, readable(details.request_body)),
            ("Response", details.response_headers, readable(details.response_body)),
        ],
    }


def readable(body: str | None) -> str | None:
    """JSON by the line, all else as it was captured."""
    try:
        return body and json.dumps(json.loads(body), indent=2, ensure_ascii=False)
    except (ValueError, RecursionError):
        return body
