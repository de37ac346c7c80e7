"""The OpenAPI document and its reference: public, under /v1 alone."""

from django.urls import path
from drf_spectacular.views import SpectacularSwaggerView

from keys.api.openapi import Schema

urlpatterns = [
    path("schema", Schema.as_view()),
    path("docs", SpectacularSwaggerView.as_view(url="/v1/schema", authentication_classes=(), permission_classes=())),
]
