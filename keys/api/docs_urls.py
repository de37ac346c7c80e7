"""The OpenAPI document and its reference: public, under /v1 alone."""

from django.urls import path
from drf_spectacular.views import SpectacularSwaggerSplitView

from keys.api.openapi import Schema

urlpatterns = [
    path("schema", Schema.as_view()),
    # Its script comes by an address of its own: no inline script runs here (settings.CONTENT_SECURITY_POLICY).
    path(
        "docs",
        SpectacularSwaggerSplitView.as_view(url="/v1/schema", authentication_classes=(), permission_classes=()),
    ),
]
