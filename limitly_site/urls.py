"""Which path is answered where."""

from django.contrib import admin
from django.urls import include, path

urlpatterns = [
    path("v1/", include("keys.api.docs_urls")),
    path("v1/", include("keys.api.urls")),
    path("functions/v1/", include("keys.api.urls")),
    path("", include("keys.api.health_urls")),
    path("admin/", admin.site.urls),
]

handler400 = "accounts.api.errors.bad_request"
handler403 = "accounts.api.errors.forbidden"
handler404 = "accounts.api.errors.not_found"
handler500 = "accounts.api.errors.failed"
