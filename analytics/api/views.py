"""Apitally's API: whose apps there are, who calls them, which endpoints they have, their traffic and request logs."""

import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import islice
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from django.conf import settings
from django.db.models import Prefetch, QuerySet
from django.utils import timezone
from rest_framework.exceptions import NotFound
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import Serializer

from accounts.api.base import AccountView
from accounts.zones import zone_named
from analytics import endpoints, request_logs, traffic
from analytics.api.errors import Unprocessable, answer_exception
from analytics.api.pages import Asked, plain, whole
from analytics.api.queries import (
    ID_MAX,
    ConsumerQuery,
    EndpointQuery,
    PageQuery,
    RequestLogQuery,
    TrafficQuery,
)
from analytics.api.serializers import AppSerializer, ConsumerSerializer, EndpointSerializer, TeamSerializer
from analytics.api.shown import logged_request, period_sum, request_details
from analytics.models import App, Consumer, Environment
from analytics.paging import agreed, place_of
from analytics.partitions import traffic_kept_since
from analytics.periods import DAY, Interval, TimePeriod, periods
from analytics.request_details import details_of
from analytics.selection import Selection, select_requests, select_traffic

DEFAULT_RANGE = {Interval.HOUR: DAY, Interval.DAY: 30 * DAY}
UUID_FORM = re.compile(r"[0-9a-f]{8}-?([0-9a-f]{4}-?){3}[0-9a-f]{12}", re.IGNORECASE | re.ASCII)


class AnalyticsView(AccountView):
    def get_exception_handler(self) -> Callable[[Exception, dict[str, Any]], Response]:
        return answer_exception

    def app(self, app_id: int) -> App:
        """Errors: Unprocessable for what is no id, NotFound for another account's app as for none."""
        if not 1 <= app_id <= ID_MAX:
            raise Unprocessable({"app_id": [f"Give a number from 1 to {ID_MAX}."]}, place="path")
        app = App.objects.filter(account=self.account, pk=app_id).first()
        if app is None:
            raise NotFound("App not found")
        return app

    def query(self, form: type[Serializer[Any]], **context: Any) -> dict[str, Any]:
        """The query as this form understands it, empty values left out; names it does not know are ignored."""
        params = self.request.query_params
        given = form(data={name: params[name] for name in params if params[name] != ""}, context=context)
        if not given.is_valid():
            raise Unprocessable(given.errors)
        return dict(given.validated_data)

    def asked(
        self, form: type[PageQuery], *, name: str, app: App, resolve: Callable[[dict[str, Any]], dict[str, Any]]
    ) -> Asked:
        """A page of the list `name`. What `resolve` makes of the first page's query is carried on by the tokens.

        Errors: Unprocessable, BadToken.
        """
        params = self.request.query_params
        owner = f"{self.account.pk}:{name}:{app.pk}"
        token = params.get("next_token")
        place = place_of(token, owner=owner) if token else None
        # As the form reads it, which takes blanks away; one that is no zone is the form's to refuse.
        zone_name = params.get("timezone", "").strip() or (place.query if place else {}).get("timezone", "UTC")
        given = self.query(form, zone=zone_named(zone_name) or UTC)
        limit, _ = given.pop("limit"), given.pop("next_token", None)
        said = {name: plain(value) for name, value in given.items()}
        if place is None:
            return Asked(owner, limit, said | resolve(given), [])
        return Asked(owner, limit, agreed(place, said), place.after)


class Team(AnalyticsView):
    def get(self, request: Request) -> Response:
        return Response(TeamSerializer(self.account).data)


class AppList(AnalyticsView):
    def get(self, request: Request) -> Response:
        environments = Prefetch("environments", Environment.objects.order_by("id"))
        apps = App.objects.filter(account=self.account).order_by("id").prefetch_related(environments)
        return Response(whole(AppSerializer(apps, many=True).data))


class EndpointList(AnalyticsView):
    def get(self, request: Request, app_id: int) -> Response:
        app, query = self.app(app_id), self.query(EndpointQuery)
        found = endpoints.matching(
            app, methods=query.get("method", ()), path=query.get("path"), environment_id=query.get("app_env_id")
        )
        return Response(whole(EndpointSerializer(found, many=True).data))


class ConsumerList(AnalyticsView):
    def get(self, request: Request, app_id: int) -> Response:
        app = self.app(app_id)
        asked = self.asked(ConsumerQuery, name="consumers", app=app, resolve=lambda _: {})
        rows = list(_consumers(app, asked)[: asked.limit + 1])
        shown = rows[: asked.limit]
        after = [shown[-1].pk] if len(rows) > asked.limit else None
        return Response(asked.answer(ConsumerSerializer(shown, many=True).data, after=after))


class Traffic(AnalyticsView):
    def get(self, request: Request, app_id: int) -> Response:
        app = self.app(app_id)
        asked = self.asked(TrafficQuery, name="traffic", app=app, resolve=partial(_resolve_traffic, now=timezone.now()))
        selection = select_traffic(
            app, environment_id=asked.query.get("app_env_id"), consumer_id=asked.query.get("consumer_id")
        )
        if selection is None:
            return Response(asked.answer([], after=None))
        found = list(islice(_periods(asked), asked.limit + 1))
        sums = traffic.by_period(selection, found[: asked.limit])
        after = [found[-1].start.isoformat()] if len(found) > asked.limit else None
        return Response(asked.answer([period_sum(each) for each in sums], after=after))


class RequestLogList(AnalyticsView):
    def get(self, request: Request, app_id: int) -> Response:
        app = self.app(app_id)
        resolve = partial(_resolve_range, now=timezone.now(), default=DAY)
        asked = self.asked(RequestLogQuery, name="request-logs", app=app, resolve=resolve)
        start, end = _range(asked)
        page = request_logs.page_of(
            _requests(app, asked), start=start, end=end, after=_position(asked), limit=asked.limit
        )
        after = page.end and [page.end.at.isoformat(), page.end.uuid.hex]
        return Response(asked.answer([logged_request(each) for each in page.requests], after=after))


class OldRequestLogList(RequestLogList):
    """Under the name that older clients know; the documentation shows the newer one alone."""


class RequestLogDetail(AnalyticsView):
    def get(self, request: Request, app_id: int, request_uuid: str) -> Response:
        """Errors: Unprocessable for what is no uuid, NotFound for another app's as for none."""
        app = self.app(app_id)
        if not UUID_FORM.fullmatch(request_uuid):
            raise Unprocessable({"request_uuid": ["Give a UUID."]}, place="path")
        details = details_of(app, UUID(request_uuid))
        if details is None:
            raise NotFound("Request not found")
        return Response(request_details(details))


def _consumers(app: App, asked: Asked) -> QuerySet[Consumer]:
    rows = Consumer.objects.filter(app=app).select_related("group").order_by("-id")
    if since := asked.query.get("requests_since"):
        rows = rows.filter(last_request_at__gte=since)
    return rows.filter(pk__lt=asked.after[0]) if asked.after else rows


def _requests(app: App, asked: Asked) -> Selection:
    start, end = _range(asked)
    query = asked.query
    return select_requests(
        app,
        start=start,
        end=end,
        environment_id=query.get("app_env_id"),
        consumer_id=query.get("consumer_id"),
        methods=query.get("method", ()),
        path=query.get("path"),
        statuses=query.get("status_code", ()),
    )


def _position(asked: Asked) -> request_logs.Position | None:
    if not asked.after:
        return None
    at, uuid = asked.after
    return request_logs.Position(datetime.fromisoformat(at), UUID(uuid))


def _periods(asked: Asked) -> Iterator[TimePeriod]:
    """Those of the range that are not on a page before."""
    start, end = _range(asked)
    since = datetime.fromisoformat(asked.after[0]) if asked.after else start
    if since >= end:
        return iter(())
    return periods(since, end, interval=Interval(asked.query["interval"]), zone=ZoneInfo(asked.query["timezone"]))


def _range(asked: Asked) -> tuple[datetime, datetime]:
    start, end = asked.query["range"]
    return datetime.fromisoformat(start), datetime.fromisoformat(end)


def _resolve_traffic(given: dict[str, Any], *, now: datetime) -> dict[str, Any]:
    """The range begins with the oldest bucket that is kept, and ends now, whatever was asked."""
    interval = given.get("interval", Interval.HOUR)
    resolved = _resolve_range(given, now=now, default=DEFAULT_RANGE[interval])
    start, end = map(datetime.fromisoformat, resolved["range"])
    kept_since = traffic_kept_since(now, months=settings.LIMITLY_TRAFFIC_MONTHS)
    return resolved | {"interval": interval, "range": [plain(max(start, kept_since)), plain(min(end, now))]}


def _resolve_range(given: dict[str, Any], *, now: datetime, default: timedelta) -> dict[str, Any]:
    start, end = given.get("start", now - default), given.get("end", now)
    if start >= end:
        raise Unprocessable({"start": ["It must be before the end."]})
    return {"timezone": plain(given.get("timezone", "UTC")), "range": [plain(start), plain(end)]}
