"""Apitally's API: whose apps there are, who calls them, and which endpoints they have."""

from collections.abc import Callable
from typing import Any

from django.db.models import QuerySet
from rest_framework.exceptions import NotFound
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import Serializer

from accounts.api.base import AccountView
from analytics import endpoints
from analytics.api.errors import Unprocessable, answer_exception
from analytics.api.queries import ID_MAX, ConsumerQuery, EndpointQuery
from analytics.api.serializers import AppSerializer, ConsumerSerializer, EndpointSerializer, TeamSerializer
from analytics.models import App, Consumer
from analytics.paging import Place, agree, place_of, token_of


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

    def query(self, form: type[Serializer[Any]]) -> dict[str, Any]:
        """The query as this form understands it, empty values left out; names it does not know are ignored."""
        params = self.request.query_params
        given = form(data={name: params[name] for name in params if params[name] != ""})
        if not given.is_valid():
            raise Unprocessable(given.errors)
        return dict(given.validated_data)


class Team(AnalyticsView):
    def get(self, request: Request) -> Response:
        return Response(TeamSerializer(self.account).data)


class AppList(AnalyticsView):
    def get(self, request: Request) -> Response:
        apps = App.objects.filter(account=self.account).order_by("id").prefetch_related("environments")
        return Response(_all_of(AppSerializer(apps, many=True).data))


class EndpointList(AnalyticsView):
    def get(self, request: Request, app_id: int) -> Response:
        app, query = self.app(app_id), self.query(EndpointQuery)
        found = endpoints.matching(
            app, methods=query.get("method", ()), path=query.get("path"), environment_id=query.get("app_env_id")
        )
        return Response(_all_of(EndpointSerializer(found, many=True).data))


class ConsumerList(AnalyticsView):
    def get(self, request: Request, app_id: int) -> Response:
        app, query = self.app(app_id), self.query(ConsumerQuery)
        limit, token = query.pop("limit"), query.pop("next_token", None)
        owner = f"{self.account.pk}:consumers:{app.pk}"
        place = Place({name: value.isoformat() for name, value in query.items()}, [])
        if token is not None:
            given, place = place.query, place_of(token, owner=owner)
            agree(place, given)
        rows = list(_consumers(app, place)[: limit + 1])
        has_more = len(rows) > limit
        following = Place(place.query, [rows[limit - 1].pk]) if has_more else None
        return Response(
            {
                "data": ConsumerSerializer(rows[:limit], many=True).data,
                "has_more": has_more,
                "next_token": following and token_of(following, owner=owner),
            }
        )


def _consumers(app: App, place: Place) -> QuerySet[Consumer]:
    rows = Consumer.objects.filter(app=app).select_related("group").order_by("-id")
    if since := place.query.get("requests_since"):
        rows = rows.filter(last_request_at__gte=since)
    return rows.filter(pk__lt=place.after[0]) if place.after else rows


def _all_of(data: Any) -> dict[str, Any]:
    """A list that is never paged."""
    return {"data": data, "has_more": False, "next_token": None}
