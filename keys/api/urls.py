"""The paths of the Limitly API, the same under both prefixes."""

from django.urls import path, re_path

from accounts.api.base import NoSuchPath
from keys.api import views
from plans.api import views as plan_views

urlpatterns = [
    path("keys", views.ApiKeyList.as_view()),
    path("keys/<str:key_id>", views.ApiKeyDetail.as_view()),
    path("keys/<str:key_id>/regenerate", views.ApiKeyRegenerate.as_view()),
    path("keys/<str:key_id>/usage", views.ApiKeyUsage.as_view()),
    path("keys/<str:key_id>/requests", views.ApiKeyRequests.as_view()),
    path("plans", plan_views.PlanList.as_view()),
    path("plans/<str:plan_id>", views.PlanDetail.as_view()),
    path("plans/<str:plan_id>/usage", views.PlanUsage.as_view()),
    path("plans/<str:plan_id>/users", plan_views.PlanUsers.as_view()),
    path("plans/<str:plan_id>/keys", views.PlanKeys.as_view()),
    path("users", plan_views.UserList.as_view()),
    path("users/<int:user_id>", views.UserDetail.as_view()),
    path("users/<int:user_id>/usage", views.UserUsage.as_view()),
    path("users/<int:user_id>/keys", views.UserKeys.as_view()),
    path("users/<int:user_id>/requests", views.UserRequests.as_view()),
    re_path(r"", NoSuchPath.as_view()),
]
