"""The pages of the staff's desk that are no table's list, under /admin/desk/."""

from collections.abc import Callable

from django.contrib import admin
from django.http import HttpResponseBase
from django.urls import URLPattern, path

from accounts.desk.logging_in import log_in_code
from accounts.desk.second_factor import second_factor_page
from analytics.desk.app_errors import error_page, errors_page
from analytics.desk.app_list import apps_page
from analytics.desk.app_tabs import consumers_page, endpoints_page, performance_page, resources_page, traffic_page
from analytics.desk.find import find_page
from analytics.desk.request_page import request_page
from analytics.desk.requests import export_page, requests_page
from keys.desk.adjust import adjust_page
from keys.desk.change_plan import change_plan_page
from keys.desk.move import move_page
from keys.desk.why import why_page

app_name = "desk"


def _page(route: str, view: Callable[..., HttpResponseBase], name: str) -> URLPattern:
    return path(route, admin.site.admin_view(view), name=name)


urlpatterns = [
    _page("find/", find_page, "find"),
    _page("why/", why_page, "why"),
    _page("requests/", requests_page, "requests"),
    _page("requests/export/", export_page, "export-requests"),
    _page("requests/<int:app_id>/<uuid:uuid>/", request_page, "request"),
    _page("quota/<str:kind>/<int:pk>/", adjust_page, "adjust"),
    _page("plan/<str:kind>/<int:pk>/", change_plan_page, "change_plan"),
    _page("move-users/", move_page, "move"),
    _page("apps/", apps_page, "apps"),
    _page("apps/<int:app_id>/traffic/", traffic_page, "app_traffic"),
    _page("apps/<int:app_id>/endpoints/", endpoints_page, "app_endpoints"),
    _page("apps/<int:app_id>/consumers/", consumers_page, "app_consumers"),
    _page("apps/<int:app_id>/errors/", errors_page, "app_errors"),
    _page("apps/<int:app_id>/errors/<int:group_id>/", error_page, "app_error"),
    _page("apps/<int:app_id>/performance/", performance_page, "app_performance"),
    _page("apps/<int:app_id>/resources/", resources_page, "app_resources"),
    _page("second-factor/", second_factor_page, "second-factor"),
    path("code/", log_in_code, name="code"),  # between password and session: for who has not logged in yet
]
