"""Health, outside the API's prefixes."""

from django.urls import path

from keys.api.health import readyz

urlpatterns = [path("readyz", readyz)]
