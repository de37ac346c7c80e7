"""Which path is answered where."""

from django.contrib import admin
from django.urls import include, path

urlpatterns = [
    path("", include("keys.api.health_urls")),
    path("admin/", admin.site.urls),
]
