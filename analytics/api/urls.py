"""The paths of Apitally's API, under /v1."""

from django.urls import path

from analytics.api import exports, views

urlpatterns = [
    path("team", views.Team.as_view()),
    path("apps", views.AppList.as_view()),
    path("apps/<int:app_id>/consumers", views.ConsumerList.as_view()),
    path("apps/<int:app_id>/endpoints", views.EndpointList.as_view()),
    path("apps/<int:app_id>/traffic", views.Traffic.as_view()),
    path("apps/<int:app_id>/metrics", exports.MetricsExport.as_view()),
    path("apps/<int:app_id>/request-logs", exports.RequestLogs.as_view()),
    path("apps/<int:app_id>/request-log", views.OldRequestLogList.as_view()),
    path("apps/<int:app_id>/request-logs/stream", exports.OldRequestLogExport.as_view()),
    path("apps/<int:app_id>/request-logs/<str:request_uuid>", views.RequestLogDetail.as_view()),
]
